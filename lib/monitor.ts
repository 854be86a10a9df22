/** Who watches a ring: histograms of latencies, and subscribers of diagnostics_channel. */
import { channel } from 'node:diagnostics_channel'
import { createHistogram } from 'node:perf_hooks'
import type { RecordableHistogram } from 'node:perf_hooks'
import type { Request } from './engine.js'
import { operationName } from './engine.js'

/** What `uring-streams:submit` publishes. */
export interface SubmitMessage {
  /** The Ring. */
  ring: object
  /** The kind: `read`, `write`, `fsync`… in the words of `ops`. */
  operation: string
  /** The same object for the submission and its completion. */
  request: object
}

/** What `uring-streams:complete` publishes. */
export interface CompleteMessage extends SubmitMessage {
  /** Bytes, a descriptor or 0; a negative errno when it failed. */
  result: number
}

/** Published when an operation is given to the kernel, */
export const submitted = channel('uring-streams:submit')
/** and when its completion is handed out. */
export const completed = channel('uring-streams:complete')

/** Nanoseconds: an hour, far beyond what anybody waits for. */
const highest = 3_600_000_000_000
/** Significant digits. */
const figures = 3
const nanosecondsPerMillisecond = 1e6

export interface LatencySummary {
  count: number
  /** Nanoseconds, as the others. */
  min: number
  mean: number
  p50: number
  p90: number
  p99: number
  p999: number
  max: number
}

/**
 * Latencies of a ring's operations by kind, from the moment they are given to the kernel (after a wait for admission, if
 * there was one) to the moment their completion is handed out. Recorded until `stop`.
 */
export class Monitor {
  /** By kind, in the words of `ops`; nanoseconds. */
  readonly histograms: ReadonlyMap<string, RecordableHistogram>
  readonly #histograms = new Map<string, RecordableHistogram>()
  /** When those in flight began. */
  readonly #begun = new Map<Request, number>()
  readonly #stopped: (monitor: Monitor) => void

  /** @internal */
  constructor(stopped: (monitor: Monitor) => void) {
    this.histograms = this.#histograms
    this.#stopped = stopped
  }

  /** @internal */
  began(request: Request): void {
    this.#begun.set(request, performance.now())
  }

  /** @internal */
  ended(request: Request): void {
    const begun = this.#begun.get(request)
    if (begun === undefined) return // it was in flight before the monitor was
    this.#begun.delete(request)
    const elapsed = Math.round((performance.now() - begun) * nanosecondsPerMillisecond)
    this.#histogram(operationName(request.opcode)).record(Math.max(elapsed, 1))
  }

  #histogram(kind: string): RecordableHistogram {
    let histogram = this.#histograms.get(kind)
    if (histogram === undefined) {
      histogram = createHistogram({ lowest: 1, highest, figures })
      this.#histograms.set(kind, histogram)
    }
    return histogram
  }

  /** The usual percentiles of each kind. */
  summary(): Record<string, LatencySummary> {
    return Object.fromEntries([...this.#histograms].map(([kind, histogram]) => [kind, summaryOf(histogram)]))
  }

  /** Records nothing more; what was recorded stays. */
  stop(): void {
    this.#begun.clear()
    this.#stopped(this)
  }

  [Symbol.dispose](): void {
    this.stop()
  }
}

function summaryOf(histogram: RecordableHistogram): LatencySummary {
  const { count, min, mean, max } = histogram
  const [p50, p90, p99, p999] = [50, 90, 99, 99.9].map(percent => histogram.percentile(percent))
  return { count, min, mean, p50, p90, p99, p999, max }
}

/** The monitors of one ring, and those who subscribed to the channels. */
export class Watch {
  readonly #monitors = new Set<Monitor>()
  /** Whether a monitor is on. */
  recording = false

  constructor(readonly ring: object) {}

  monitor(): Monitor {
    const monitor = new Monitor(stopped => {
      this.#monitors.delete(stopped)
      this.recording = this.#monitors.size > 0
    })
    this.#monitors.add(monitor)
    this.recording = true
    return monitor
  }

  began(request: Request): void {
    if (submitted.hasSubscribers) submitted.publish(this.#message(request) satisfies SubmitMessage)
    for (const monitor of this.#monitors) monitor.began(request)
  }

  ended(request: Request, result: number): void {
    for (const monitor of this.#monitors) monitor.ended(request)
    if (completed.hasSubscribers) completed.publish({ ...this.#message(request), result } satisfies CompleteMessage)
  }

  #message(request: Request): SubmitMessage {
    return { ring: this.ring, operation: operationName(request.opcode), request }
  }
}
