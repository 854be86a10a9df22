/** One write of the window of writes. */
import { constants } from 'node:os'
import type { Loan } from './buffers.js'
import { floorTo } from './direct.js'
import type { OpenFile } from './engine.js'
import { currentPosition, Opcode, Request } from './engine.js'
import type { WriteWindow } from './write-window.js'

const { EINVAL } = constants.errno

/** Where the bytes of a write are: in a loan's buffer, or if there is none in a chunk of the caller's. */
export interface WriteSource {
  readonly loan: Loan | null
  /** The memory, unless it is in a buffer of this ring's engine. */
  readonly chunk: Uint8Array | null
  readonly offset: number
  readonly size: number
}

/** One write: a place in the file, and the memory it empties. */
export class ChunkWrite extends Request {
  loan: Loan | null
  readonly size: number
  /** Bytes written so far. */
  moved = 0
  done = false
  /** It must be copied into memory of ours before it is started. */
  staged = false
  /** It could not go on in whole units, and waits to go on through the page cache. */
  stalled = false
  /** What it was refused with then; 0: less than a unit was written. */
  refusal = 0
  private _offset: number
  private _unit: number

  /**
   * @param unit bytes of which it is a whole multiple, in memory as well: `file` has O_DIRECT then. 1 otherwise
   */
  constructor(
    readonly window: WriteWindow, private _place: number, { loan, chunk, offset, size }: WriteSource,
    file: OpenFile, unit: number
  ) {
    super()
    this.opcode = Opcode.write
    this.opFlags = window.writeFlags
    this.file = file
    this.loan = loan
    if (chunk === null) this.buffer = loan!.buffer
    else this.memory = chunk
    this._offset = offset
    this.size = size
    this._unit = unit
    this.aim(0)
  }

  /** Before it has begun: by so many bytes. */
  move(bytes: number): void {
    this._place += bytes
    this.aim(0)
  }

  /** Points it at what is still missing. True when nothing is. */
  aim(moved: number): boolean {
    this.moved = floorTo(this._unit, this.moved + moved) // a part of a unit is written again
    this.offset = this._offset + this.moved
    this.length = this.size - this.moved
    this.position = this._place === currentPosition ? currentPosition : this._place + this.moved
    return this.length === 0
  }

  /**
   * True if this is what a direct write may end with at a limit: of the file's size within a unit, EINVAL, for what the
   * kernel would still take of it is no whole blocks; of a device's or the disk's, a part of a unit, again and again.
   */
  stallsAt(result: number): boolean {
    this.stalled = this._unit > 1 && (result === -EINVAL || result > 0)
    if (this.stalled) this.refusal = Math.min(result, 0)
    return this.stalled
  }

  /** From here on through the page cache, byte for byte. */
  goOnThroughCache(file: OpenFile): void {
    this.file = file
    this._unit = 1
    this.stalled = false
    this.aim(0)
  }

  /** Moves the bytes from the caller's memory to that of a loan. */
  stage(loan: Loan): void {
    loan.chunk.set(this.memory!.subarray(this._offset, this._offset + this.size))
    this.loan = loan
    this.memory = null
    this.buffer = loan.buffer
    this._offset = 0
    this.staged = false
    this.aim(0)
  }

  /** The caller gave the memory away while it was being written: what the kernel found there is unknown. */
  get detached(): boolean {
    return this.memory !== null && this.memory.byteLength < this._offset + this.size
  }

  override completed(result: number): void {
    this.window.completed(this, result)
  }
}
