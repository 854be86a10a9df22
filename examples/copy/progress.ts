/** What is shown while a copy goes on, and after it. */
import { SingleBar } from 'cli-progress'
import type { Report } from './arguments.js'
import type { Figures } from './copy.js'
import { columnsOf, formatBytes, formatClock, formatDuration, formatRate, plainName, shorten } from './format.js'
import { Meter } from './meter.js'

const barMs = 100
const lineMs = 1000
const nameColumnsMax = 24
const barColumns = { min: 8, max: 40 }
/** Left free at the end of the bar's line, so that the ^C of whoever types it does not wrap to the next. */
const reservedColumns = 3

/** What a copy tells about itself at any time. */
export interface Watched {
  readonly source: string
  /** What goes on, if not the copying itself, */
  readonly phase: string | null
  /** and since when, by performance.now(). */
  readonly began: number
  /** That have passed it. */
  readonly bytes: number
  /** Null if nobody knows how many bytes there will be. */
  readonly total: number | null
}

export interface Progress {
  /** Takes the bar away. */
  stop(): void
}

/** A moment of a copy. */
export interface Moment {
  name: string
  phase: string | null
  bytes: number
  total: number | null
  bytesPerSecond: number
  secondsLeft: number | null
}

export function startProgress(watched: Watched, report: Report): Progress {
  if (report !== 'progress') return { stop() {} }
  const moment = momentsOf(watched)
  // Both go to standard error, and so that alone decides.
  return process.stderr.isTTY ? startBar(moment) : startLines(moment)
}

/** Looks at a copy. Each phase has a rate of its own. */
export function momentsOf(watched: Watched): () => Moment {
  let meter = new Meter()
  let measured: string | null = null
  return () => {
    const { phase, bytes } = watched
    // Of nothing, and of more than there should be, no share can be told.
    const total = watched.total !== null && watched.total > 0 && bytes <= watched.total ? watched.total : null
    if (phase !== measured) {
      meter = new Meter()
      meter.add(watched.began, 0)
      measured = phase
    }
    meter.add(performance.now(), bytes)
    const { bytesPerSecond } = meter
    return { name: plainName(watched.source), phase, bytes, total, bytesPerSecond, secondsLeft: meter.secondsLeft(total) }
  }
}

function startLines(moment: () => Moment): Progress {
  moment()
  const timer = setInterval(() => process.stderr.write(`${progressLine(moment())}\n`), lineMs)
  return { stop: () => clearInterval(timer) }
}

function startBar(moment: () => Moment): Progress {
  const bar = new SingleBar({
    stream: process.stderr,
    format: (_options, { maxWidth }, { now }: { now: Moment }) => barLine(now, maxWidth),
    fps: 1000 / barMs,
    clearOnComplete: true,
    linewrap: true, // as it is: whatever ends this process must not leave the terminal changed
    gracefulExit: false // signals are for Interruption
  })
  moment()
  const timer = setInterval(() => {
    const now = moment()
    // The bar's own total and value are not used: both may be unknown, and the total may change.
    if (bar.isActive) bar.update(0, { now })
    else bar.start(1, 0, { now }) // not before: of a copy that is over in no time there is nothing to show
  }, barMs)
  return {
    stop() {
      clearInterval(timer)
      bar.stop()
    }
  }
}

/** For a log: `big.iso: 1.2 GiB of 4.0 GiB (30%), 1.9 GiB/s, 0:02 left`, or `big.iso: verifying, 1.2 GiB of…`. */
export function progressLine({ name, phase, bytes, total, bytesPerSecond, secondsLeft }: Moment): string {
  const of = total === null ? '' : ` of ${formatBytes(total)} (${percentage(bytes, total)}%)`
  const left = secondsLeft === null ? '' : `, ${formatClock(secondsLeft)} left`
  return `${name}: ${phase === null ? '' : `${phase}, `}${formatBytes(bytes)}${of}, ${formatRate(bytesPerSecond)}${left}`
}

/** For a terminal: `big.iso  30% [====        ] 1.2 GiB of 4.0 GiB  1.9 GiB/s  0:02 left`, or what of it has room. */
export function barLine({ name, phase, bytes, total, bytesPerSecond, secondsLeft }: Moment, columns: number): string {
  const room = columns - reservedColumns
  // Texts of changing length are padded: nothing jumps.
  const amount = formatBytes(bytes).padStart(10)
  const rate = formatRate(bytesPerSecond).padStart(12)
  const short = shorten(name, nameColumnsMax)
  const titles = phase === null ? [short] : [`${phase} ${short}`, phase]
  if (total === null) return firstThatFits([...titles.map(title => `${title}  ${amount}  ${rate}`), `${amount}  ${rate}`], room)
  const percent = `${percentage(bytes, total)}%`.padStart(4)
  const speed = `${rate}  ${`${secondsLeft === null ? '-:--' : formatClock(secondsLeft)} left`.padStart(9)}`
  const withBar = (title: string, facts: string): string[] => {
    const spare = Math.min(room - columnsOf(`${title} ${percent} [] ${facts}`), barColumns.max)
    const done = '='.repeat(Math.max(0, Math.floor(bytes / total * spare)))
    return spare < barColumns.min ? [] : [`${title} ${percent} [${done.padEnd(spare)}] ${facts}`]
  }
  const bars = [`${amount} of ${formatBytes(total)}  ${speed}`, speed].flatMap(facts => titles.flatMap(title => withBar(title, facts)))
  return firstThatFits([...bars, `${percent} ${speed}`, percent], room)
}

function firstThatFits(texts: string[], room: number): string {
  return texts.find(text => columnsOf(text) <= room) ?? ''
}

/** Rounded down: 100 only when everything is there. */
function percentage(bytes: number, total: number): number {
  return Math.floor(bytes / total * 100)
}

/** `4.0 GiB in 2.1 s (1.9 GiB/s)`. */
export function summary({ bytes, seconds, bytesPerSecond }: Figures): string {
  return `${formatBytes(bytes)} in ${formatDuration(seconds)} (${formatRate(bytesPerSecond)})`
}
