/** The window of writes past the page cache. */
import type { Lease } from './buffers.js'
import { Loan } from './buffers.js'
import type { ChunkWrite, WriteSource } from './chunk-write.js'
import type { DirectFile } from './direct.js'
import { floorTo, partsOf } from './direct.js'
import { invalidState } from './errors.js'
import type { WriteBehindOptions } from './write-behind.js'
import { WriteBehind } from './write-behind.js'
import type { WriteTarget } from './write-window.js'

/**
 * Writes whole units direct, from memory that begins on a page: everything is gathered there, but for leases that are
 * in such memory already. What is left over at both ends of a run of units goes through the page cache.
 */
export class DirectWriteBehind extends WriteBehind {
  /** A write through the page cache is in flight. */
  private _alone = false

  constructor(target: WriteTarget, options: WriteBehindOptions, private readonly _direct: DirectFile) {
    super(target, options)
  }

  protected override take(chunk: Uint8Array, lease: Lease | undefined): void {
    if (lease !== undefined) return this._takeLeased(lease, chunk)
    let from = 0
    while (chunk.length - from > this.slotSize) from += this._takePiece(chunk, from)
    this.gatherIn(chunk, from)
  }

  protected override takeLease(lease: Lease): void {
    this._takeLeased(lease, null)
  }

  /** Whole units from where they are, if that suits; the rest is copied. */
  private _takeLeased(lease: Lease, chunk: Uint8Array | null): void {
    const { unit } = this._direct
    const source = this.sourceOf(lease, chunk)
    const suits = source.chunk === null && this.gather.isEmpty && this.next % unit === 0 && source.offset % unit === 0
    const size = suits ? floorTo(unit, source.size) : 0
    if (size > 0) {
      this.leases++
      lease.retain()
      this._pushDirect({ ...source, size })
    }
    if (size < source.size) this.gatherIn(chunk ?? lease.chunk, size)
    lease.release()
  }

  /** Takes what fills a buffer; gives the number of bytes. A full one is copied when it is started: not all at once. */
  private _takePiece(chunk: Uint8Array, offset: number): number {
    if (this.gather.isEmpty && this.next % this._direct.unit === 0) {
      this.callersBytes += this.slotSize
      this._pushDirect({ loan: null, chunk, offset, size: this.slotSize }).staged = true
      return this.slotSize
    }
    this.openGather(1)
    const bytes = this.gather.room
    this.gather.add(chunk.subarray(offset, offset + bytes))
    this.flushGather()
    return bytes
  }

  private _pushDirect(source: WriteSource): ChunkWrite {
    const write = this.writeOf(source, this._direct.file, this._direct.unit)
    this.push(write)
    return write
  }

  protected override pushGathered({ loan, offset, size }: WriteSource & { loan: Loan }): void {
    for (const part of partsOf(this.next, size, this._direct.unit)) {
      const source = { loan, chunk: null, offset: offset + part.offset, size: part.size }
      loan.retain()
      if (part.direct) this._pushDirect(source)
      else this.push(this.writeOf(source))
    }
    loan.release()
  }

  /**
   * A write through the page cache is alone: a direct one beside it would make the kernel drop pages that are just
   * being filled, and where it cannot, fail a later sync with EIO.
   */
  protected override prepare(write: ChunkWrite): boolean {
    const alone = write.file === this.file
    if (this.inFlight > 0 && (alone || this._alone)) return false
    if (write.staged && !this._stage(write)) return false
    this._alone = alone
    return true
  }

  private _stage(write: ChunkWrite): boolean {
    if (write.detached) {
      this.fail(invalidState('a chunk was detached before it was written'))
      return false
    }
    write.stage(new Loan(this.buffers.acquire(), this.slotSize, this.buffers.release))
    this.callersBytes -= write.size
    return true
  }
}

/** The window of writes of a file, whichever suits it. */
export function createWriteBehind(target: WriteTarget, options: WriteBehindOptions): WriteBehind {
  return target.direct === null ? new WriteBehind(target, options) : new DirectWriteBehind(target, options, target.direct)
}
