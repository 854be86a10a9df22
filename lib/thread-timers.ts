/** What waits on the event loop itself: it can be stopped. */
import type { Request } from './engine.js'
import { Opcode } from './engine.js'
import { errnoOf } from './errors.js'

type Done = (error: null, result: number) => void

/** Not among the codes of libuv; the result of a timeout that has elapsed. */
const ETIME = -62
const IORING_TIMEOUT_ABS = 1
const [EALREADY, ECANCELED] = ['EALREADY', 'ECANCELED'].map(errnoOf)
/** setTimeout takes longer ones for one millisecond. */
const delayMaxMs = 2 ** 31 - 1

interface Waiting { done: Done, timer: NodeJS.Timeout, completionsLeft: number }

export class ThreadTimers {
  readonly #waiting = new Map<Request, Waiting>()
  /** Linked timeouts whose time was over before the request that they limit has ended, and what came of it. */
  readonly #elapsed = new Map<Request, number>()

  /** Ends with `result` after so many milliseconds, and not a moment before. */
  after(request: Request, ms: number, done: Done, result = 0, completionsLeft = Infinity): void {
    const end = performance.now() + ms
    const look = (): void => {
      const leftMs = end - performance.now()
      if (leftMs <= 0) this.#end(request, result)
      else waiting.timer = setTimeout(look, Math.min(Math.ceil(leftMs), delayMaxMs))
    }
    const waiting = { done, timer: setTimeout(look, Math.min(Math.ceil(ms), delayMaxMs)), completionsLeft }
    this.#waiting.set(request, waiting)
  }

  /** An operation `timeout`, built by lib/operations.ts. */
  timeout(request: Request, done: Done): void {
    const { memory, opFlags, position } = request
    const [seconds, nanoseconds] = new BigInt64Array(memory!.buffer, memory!.byteOffset, 2)
    const now = (opFlags & IORING_TIMEOUT_ABS) !== 0 ? Number(process.hrtime.bigint()) / 1e6 : 0
    const ms = Math.max(0, Number(seconds) * 1000 + Number(nanoseconds) / 1e6 - now)
    this.after(request, ms, done, ETIME, Number(position) || Infinity)
  }

  /** Calls `cancel` when the time of a linked timeout is over. */
  limit(request: Request, cancel: () => number): void {
    this.timeout(request, () => this.#elapsed.set(request, cancel() === 0 ? ETIME : EALREADY))
  }

  /** What it limited has ended: the result of the timeout. */
  unlimit(request: Request): number {
    const elapsed = this.#elapsed.get(request)
    this.#elapsed.delete(request)
    clearTimeout(this.#waiting.get(request)?.timer)
    this.#waiting.delete(request)
    return elapsed ?? ECANCELED
  }

  /** Something else has ended: some wait for so many of those. */
  count(ended: Request): void {
    if (ended.opcode === Opcode.cancel) return
    for (const [request, waiting] of this.#waiting) {
      if (--waiting.completionsLeft === 0) this.#end(request, 0)
    }
  }

  /** False where it does not wait here. */
  stop(request: Request, result: number): boolean {
    if (!this.#waiting.has(request)) return false
    setImmediate(() => this.#end(request, result))
    return true
  }

  #end(request: Request, result: number): void {
    const waiting = this.#waiting.get(request)
    if (waiting === undefined) return
    this.#waiting.delete(request)
    clearTimeout(waiting.timer)
    waiting.done(null, result)
  }
}
