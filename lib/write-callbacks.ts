/** The callbacks of a stream's writes: each is called once its bytes are in the file, in order. */
import { AsyncResource } from 'node:async_hooks'

export type WriteCallback = (error: Error | null | undefined) => void

/** A write that has a callback. */
export interface WaitingWrite {
  readonly callback: WriteCallback
  /** What was current at the write, for AsyncLocalStorage. */
  readonly context: AsyncResource
  /** Which of the stream's writes it is. */
  readonly number: number
  /** Bytes that must be in the file before it is called; -1 until the window has the chunk. */
  target: number
}

export class WriteCallbacks {
  private _given = 0
  private _taken = 0
  /** In order; of the first `_targeted` the window has the chunk. */
  private readonly _waiting: WaitingWrite[] = []
  private _targeted = 0

  /** Announces the callback of the write that comes next. */
  expect(callback: WriteCallback): WaitingWrite {
    const waiting = { callback, context: new AsyncResource('URINGWRITE'), number: this._given + 1, target: -1 }
    this._waiting.push(waiting)
    return waiting
  }

  /** A write was accepted, with a callback or without. */
  given(): void {
    this._given++
  }

  /** Its arguments were bad: it never was. */
  forget(waiting: WaitingWrite): void {
    this._waiting.splice(this._waiting.indexOf(waiting), 1)
  }

  /** The window has the next chunk, and `accepted` bytes with it. */
  taken(accepted: number): void {
    this._taken++
    if (this._targeted === this._waiting.length || this._waiting[this._targeted].number !== this._taken) return
    this._waiting[this._targeted++].target = accepted
  }

  /** Calls those whose bytes are among the first `written` of the file. */
  answer(written: number): void {
    while (this._targeted > 0 && this._waiting[0].target <= written) {
      this._targeted--
      try {
        call(this._waiting.shift()!, null)
      } catch (error) {
        process.nextTick(() => this.answer(written)) // those behind it are called all the same
        throw error
      }
    }
  }

  /** The base class did not take a chunk; if the stream is destroyed, those before it are lost as well. */
  refuse(refused: WaitingWrite, error: Error, destroyed: boolean): void {
    const at = this._waiting.indexOf(refused)
    if (at < 0) return
    if (destroyed) return this.fail(error, at + 1)
    this._waiting.splice(at, 1)
    call(refused, error)
  }

  /** Calls the first `count`, or all, with an error. */
  fail(error: Error, count = this._waiting.length): void {
    this._targeted = Math.max(0, this._targeted - count)
    for (const waiting of this._waiting.splice(0, count)) call(waiting, error)
  }
}

function call({ callback, context }: WaitingWrite, error: Error | null): void {
  context.runInAsyncScope(callback, null, error)
}
