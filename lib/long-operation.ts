/** What one operation cannot carry: a chain of pieces, which to its caller is one operation. */
import { settleInBatch } from './batch.js'
import { IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK } from './engine.js'
import type { Completion } from './operation.js'
import { Operation } from './operation.js'
import { later } from './transfers.js'
import type { At } from './transfers.js'
import { bytesIn, oneVector, withoutFirst } from './vectors.js'

/**
 * The operation on all of the views: of one piece where the others would have nothing but empty views.
 * @param build makes the operation on a part of the views, which begins at a position
 */
export function inPieces(views: Uint8Array[], position: At, build: (part: Uint8Array[], position: At) => Operation): Operation {
  const pieces: Operation[] = []
  for (let left = views, at = position; left.length > 0;) {
    const part = oneVector(left)
    pieces.push(build(part, at))
    const bytes = bytesIn(part)
    left = withoutFirst(left, bytes)
    at = later(at, bytes)
  }
  return pieces.length === 1 ? pieces[0] : new LongOperation(pieces)
}

export class LongOperation extends Operation {
  private readonly _completions: Completion[] = []

  constructor(private readonly _pieces: readonly Operation[]) {
    const [{ opcode, syscall, file, position }] = _pieces
    super(opcode, syscall)
    this.span = _pieces.length
    this.file = file
    this.position = position
  }

  /**
   * Its pieces, each linked to the one before it: what begins behind a short one would leave a hole. What is behind the
   * whole by a hard link is cancelled, too, when another piece than the last one falls short.
   */
  unfold(): readonly Operation[] {
    const [first, last] = [this._pieces[0], this._pieces[this._pieces.length - 1]]
    const flags = this.flags & ~(IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
    for (const [place, piece] of this._pieces.entries()) {
      piece.flags = flags | IOSQE_IO_LINK
      piece.callback = settleInBatch
      piece.batch = this._ends
      piece.place = place
      piece.ring = this.ring
    }
    first.flags |= this.flags & IOSQE_IO_DRAIN
    last.flags = (last.flags & ~IOSQE_IO_LINK) | (this.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK))
    this.waiter = first // where a cancel goes
    return this._pieces
  }

  private readonly _ends = {
    completed: (place: number, completion: Completion): void => {
      this._completions[place] = completion
      this.waiter = this._pieces[place + 1] ?? null
      if (this.waiter !== null) return
      let [{ result }] = this._completions
      for (const { result: more } of this._completions.slice(1)) {
        if (more < 0) break
        result += more
      }
      this.completed(result, completion.flags)
    }
  }
}
