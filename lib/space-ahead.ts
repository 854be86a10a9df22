/** Space on the disk for large writes, just before each. */
import type { ChunkWrite } from './chunk-write.js'
import { IOSQE_IO_HARDLINK, Opcode, Request } from './engine.js'
import { preallocationPays } from './file-calls.js'

/** A stream whose first write is smaller has not enough of them to pay for it. */
const writeMin = 256 * 1024
const FALLOC_FL_KEEP_SIZE = 1

/** What the write behind it is to have: just that, so that nothing is left over that would have to be cut off. */
class Allocation extends Request {
  constructor(readonly space: SpaceAhead, { file, position, size }: ChunkWrite) {
    super()
    this.opcode = Opcode.fallocate
    this.flags = IOSQE_IO_HARDLINK // the write happens all the same, and says what is wrong
    this.file = file
    this.position = position
    this.address = size
    this.length = FALLOC_FL_KEEP_SIZE
  }

  override completed(result: number): void {
    if (result < 0) this.space.isWorth = false
  }
}

/**
 * On ext4 a write into allocated space takes two thirds of the time of one that has the space reserved for later, page by page:
 * a GiB by dd 163 ms, with fallocate before each MiB 99, before all of it 94; by a stream 243 and 189, piped 250 and 187
 * (2026-11-27, Linux 6.18). Two files that are written at once have extents of 2 MiB then, instead of some of 100 MiB.
 * All writes of a window, or none: where some of a file's space was allocated and some reserved, on a disk that failed, fsync
 * ran into a BUG in ext4 (6.18, without a journal), and never ended.
 */
export class SpaceAhead {
  /** Null until it is known. */
  isWorth: boolean | null = null
  private _asking = false
  private _ended: (() => void) | null = null

  /** @param answered called when it is known, if a write had to wait for that */
  constructor(readonly fd: number, readonly answered: () => void) {}

  /** What to start for a write: itself, or the chain that it ends. Null: that is not known yet. The first write decides. */
  before(write: ChunkWrite): Request | null {
    if (this.isWorth === null && write.size < writeMin) this.isWorth = false
    if (this.isWorth === null) {
      this._ask()
      return null
    }
    if (!this.isWorth) return write
    const allocation = new Allocation(this, write)
    allocation.chain = [allocation, write]
    return allocation
  }

  private _ask(): void {
    if (this._asking) return
    this._asking = true
    void preallocationPays(this.fd).then(pays => {
      this._asking = false
      this.isWorth = pays
      // Out of the promise: what a listener throws is no rejection.
      process.nextTick(this._ended ?? this.answered)
    })
  }

  /** Calls back when it asks no more: only then may the descriptor be closed. */
  ended(callback: () => void): void {
    this._ended = callback
    if (!this._asking) callback()
  }
}
