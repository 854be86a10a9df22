/** The descriptor's own position, for writes that are given none. */
import type { Ring } from './ring.js'
import type { At } from './transfers.js'
import { writeWhole } from './transfers.js'

/**
 * io_uring moves a descriptor only when a write has ended, and to where that ended, whoever has moved it meanwhile; write(2),
 * which libuv's threads call, holds others off. So here a write takes its place in one step, before it begins.
 */
export class FilePosition {
  /** Null until it is looked at: whether places can be taken. What is appended has none. */
  private _moves: boolean | null = null

  constructor(readonly ring: Ring, readonly fd: number) {}

  /** Writes all of it, as `writeWhole` does. After a failure the descriptor stands where that came, unless others have gone on. */
  async writeWhole(length: number, position: At, write: (done: number, at: At) => Promise<number>): Promise<number> {
    const place = position === null ? this._take(length) : null
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

  private _take(bytes: number): number | null {
    const { engine } = this.ring
    if (engine.kind !== 'uring') return null
    if (this._moves === null) this._look()
    const place = this._moves ? engine.advance(this.fd, bytes) : -1
    return place < 0 ? null : place
  }

  private _look(): void {
    this._moves = false
    this.ring.engine.inspect(this.fd, (error, { regular, append, position }) => {
      this._moves = error === null && regular && !append && position >= 0
    })
  }
}
