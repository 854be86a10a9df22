/** Memory in which small chunks are copied together, to be written at once. */
import type { WindowBuffers } from './buffers.js'
import { Loan } from './buffers.js'
import type { WriteSource } from './chunk-write.js'

/** Node's Buffers have it, its types do not: `write` without looking at its arguments. */
type GatherChunk = Buffer & { utf8Write(text: string, offset: number): number }

export class Gather {
  private _loan: Loan | null = null
  private _chunk: GatherChunk | null = null
  private _begin = 0
  private _end = 0

  /** @param capacity bytes of each of the buffers */
  constructor(readonly buffers: WindowBuffers, readonly capacity: number) {}

  get isEmpty(): boolean {
    return this._loan === null
  }

  /** Bytes that still fit in. */
  get room(): number {
    return this.capacity - this._end
  }

  /** Takes a buffer if there is none; its first byte goes to `offset`. */
  open(offset: number): void {
    if (this._loan !== null) return
    this._loan = new Loan(this.buffers.acquire(), this.capacity, this.buffers.release)
    this._chunk = this._loan.chunk as GatherChunk
    this._begin = this._end = offset
  }

  /** Into an open buffer that has the room. */
  add(bytes: Uint8Array): void {
    this._chunk!.set(bytes, this._end)
    this._end += bytes.length
  }

  /** The same in UTF-8; gives the number of bytes. */
  addString(text: string): number {
    const bytes = this._chunk!.utf8Write(text, this._end)
    this._end += bytes
    return bytes
  }

  /** What was gathered, with its buffer; the next begins anew. */
  take(): WriteSource & { loan: Loan } {
    const source = { loan: this._loan!, chunk: null, offset: this._begin, size: this._end - this._begin }
    this._forget()
    return source
  }

  drop(): void {
    this._loan?.release()
    this._forget()
  }

  private _forget(): void {
    this._loan = this._chunk = null
    this._begin = this._end = 0
  }
}
