/** The descriptor's own position, for reads and writes that are given none. */
import type { Ring } from './ring.js'
import type { At } from './transfers.js'
import { writeWhole } from './transfers.js'

/**
 * io_uring looks where a descriptor stands when a read or write begins, and moves it only when that has ended, and to where that
 * ended, whoever has moved it meanwhile; read(2) and write(2), which libuv's threads call, hold others off. So here a write takes
 * its place in one step, before it begins. A read, of which nobody knows how far it will come, is alone: those of a file
 * that is not in the page cache would all bring the same bytes.
 */
export class FilePosition {
  /** Null until it is looked at: whether it has a place that reads and writes move; */
  private _moves: boolean | null = null
  /** and whether writes go there: what is appended does not. */
  private _appends = false
  /** The last of what waits for its turn, or has it. */
  private _turn: Promise<unknown> | null = null

  constructor(readonly ring: Ring, readonly fd: number) {}

  /** Reads where the descriptor stands, when the reads before have ended. */
  read(read: () => Promise<number>): Promise<number> {
    return this._isMoving() ? this._inTurn(read) : read()
  }

  /** Writes all of it, as `writeWhole` does. After a failure the descriptor stands where that came, unless others have gone on. */
  async writeWhole(length: number, position: At, write: (done: number, at: At) => Promise<number>): Promise<number> {
    const waits = position === null && this._turn !== null
    const place = position !== null ? null : waits ? await this._inTurn(async () => this._take(length)) : this._take(length)
    if (place === null) return writeWhole(length, position, write)
    let written = 0
    try {
      return written = await writeWhole(length, place, write)
    } catch (error) {
      written = (error as { bytesWritten?: number }).bytesWritten ?? 0
      throw error
    } finally {
      const { engine } = this.ring
      if (written < length && engine.advance(this.fd, 0) === place + length) engine.seek(this.fd, place + written)
    }
  }

  private async _inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this._turn === null ? act() : this._turn.then(act, act)
    this._turn = turn
    try {
      return await turn
    } finally {
      if (this._turn === turn) this._turn = null
    }
  }

  private _take(bytes: number): number | null {
    if (!this._isMoving() || this._appends) return null
    const place = this.ring.engine.advance(this.fd, bytes)
    return place < 0 ? null : place
  }

  private _isMoving(): boolean {
    if (this.ring.engine.kind !== 'uring') return false
    if (this._moves === null) this._look()
    return this._moves!
  }

  private _look(): void {
    this._moves = false
    this.ring.engine.inspect(this.fd, (error, { regular, block, append, position }) => {
      this._moves = error === null && (regular || block) && position >= 0
      this._appends = append
    })
  }
}
