/** The callbacks of a stream's writes: each is called once its bytes are in the file, in order. */

export type WriteCallback = (error: Error | null | undefined) => void

/** A write that has a callback. */
export interface WaitingWrite {
  readonly callback: WriteCallback
  /** Which of the stream's writes it is. */
  readonly number: number
  /** Bytes that must be in the file before it is called; -1 until the window has the chunk. */
  target: number
}

export class WriteCallbacks {
  #given = 0
  #taken = 0
  /** In order; of the first `#targeted` the window has the chunk. */
  readonly #waiting: WaitingWrite[] = []
  #targeted = 0

  /** Announces the callback of the write that comes next. */
  expect(callback: WriteCallback): WaitingWrite {
    const waiting = { callback, number: this.#given + 1, target: -1 }
    this.#waiting.push(waiting)
    return waiting
  }

  /** A write was accepted, with a callback or without. */
  given(): void {
    this.#given++
  }

  /** Its arguments were bad: it never was. */
  forget(waiting: WaitingWrite): void {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
  }

  /** The window has the next chunk, and `accepted` bytes with it. */
  taken(accepted: number): void {
    this.#taken++
    if (this.#targeted === this.#waiting.length || this.#waiting[this.#targeted].number !== this.#taken) return
    this.#waiting[this.#targeted++].target = accepted
  }

  /** Calls those whose bytes are among the first `written` of the file. */
  answer(written: number): void {
    while (this.#targeted > 0 && this.#waiting[0].target <= written) {
      this.#targeted--
      this.#waiting.shift()!.callback(null)
    }
  }

  /** The base class did not take a chunk; if the stream is destroyed, those before it are lost as well. */
  refuse(refused: WaitingWrite, error: Error, destroyed: boolean): void {
    const at = this.#waiting.indexOf(refused)
    if (at < 0) return
    if (destroyed) return this.fail(error, at + 1)
    this.#waiting.splice(at, 1)
    refused.callback(error)
  }

  /** Calls the first `count`, or all, with an error. */
  fail(error: Error, count = this.#waiting.length): void {
    this.#targeted = Math.max(0, this.#targeted - count)
    for (const { callback } of this.#waiting.splice(0, count)) callback(error)
  }
}
