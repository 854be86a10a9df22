/** What is shown while a copy goes on, and after it. */
import { SingleBar } from 'cli-progress'
import type { Report } from './arguments.js'
import type { CopyResult } from './copy.js'
import { columnsOf, formatBytes, formatClock, formatDuration, formatRate, plainName, shorten } from './format.js'
import { Meter } from './meter.js'

const barMs = 100
const lineMs = 1000
const nameColumnsMax = 24
const barColumns = { min: 8, max: 40 }

/** What a copy tells about itself at any time. */
export interface Watched {
  readonly source: string
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
  bytes: number
  total: number | null
  bytesPerSecond: number
  secondsLeft: number | null
}

export function startProgress(watched: Watched, report: Report): Progress {
  if (report !== 'progress') return { stop() {} }
  const meter = new Meter()
  const moment = (): Moment => {
    const { bytes, total } = watched
    meter.add(performance.now(), bytes)
    const { bytesPerSecond } = meter
    return { name: plainName(watched.source), bytes, total, bytesPerSecond, secondsLeft: meter.secondsLeft(total) }
  }
  // Both go to standard error, and so that alone decides.
  return process.stderr.isTTY ? startBar(moment) : startLines(moment)
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

/** For a log: `big.iso: 1.2 GiB of 4.0 GiB (30%), 1.9 GiB/s, 0:02 left`. */
export function progressLine({ name, bytes, total, bytesPerSecond, secondsLeft }: Moment): string {
  const of = total === null ? '' : ` of ${formatBytes(total)} (${percentage(bytes, total)}%)`
  const left = secondsLeft === null ? '' : `, ${formatClock(secondsLeft)} left`
  return `${name}: ${formatBytes(bytes)}${of}, ${formatRate(bytesPerSecond)}${left}`
}

/** For a terminal: `big.iso  30% [====        ] 1.2 GiB of 4.0 GiB  1.9 GiB/s  0:02 left`, as wide as it may be. */
export function barLine({ name, bytes, total, bytesPerSecond, secondsLeft }: Moment, columns: number): string {
  // Texts of changing length are padded: nothing jumps.
  const amount = formatBytes(bytes).padStart(10)
  const rate = formatRate(bytesPerSecond).padStart(12)
  const title = shorten(name, nameColumnsMax)
  if (total === null) return fit([`${title}  ${amount}  ${rate}`, `${amount}  ${rate}`], columns)
  const percent = `${percentage(bytes, total)}%`.padStart(4)
  const left = `${secondsLeft === null ? '-:--' : formatClock(secondsLeft)} left`.padStart(9)
  const facts = `${amount} of ${formatBytes(total)}  ${rate}  ${left}`
  const spare = columns - columnsOf(`${title} ${percent} [] ${facts}`) - 1
  return fit([
    ...spare >= barColumns.min ? [`${title} ${percent} [${drawBar(bytes / total, spare)}] ${facts}`] : [],
    `${title} ${percent} ${facts}`, `${percent} ${rate}  ${left}`, percent
  ], columns)
}

function drawBar(share: number, spare: number): string {
  const size = Math.min(spare, barColumns.max)
  return '='.repeat(Math.floor(share * size)).padEnd(size)
}

/** The first text that leaves the last column free, where a cursor would wrap. */
function fit(texts: string[], columns: number): string {
  return texts.find(text => columnsOf(text) < columns) ?? ''
}

/** Rounded down: 100 only when everything is there. */
function percentage(bytes: number, total: number): number {
  return Math.floor(bytes / total * 100)
}

/** `4.0 GiB in 2.1 s (1.9 GiB/s)`. */
export function summary({ bytes, seconds, bytesPerSecond }: CopyResult): string {
  return `${formatBytes(bytes)} in ${formatDuration(seconds)} (${formatRate(bytesPerSecond)})`
}
