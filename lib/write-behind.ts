/** The window of writes under every writable: what becomes of chunks. */
import type { Lease, Loan } from './buffers.js'
import { WindowBuffers } from './buffers.js'
import type { WriteSource } from './chunk-write.js'
import { ChunkWrite } from './chunk-write.js'
import { ceilTo } from './direct.js'
import { Gather } from './gather.js'
import type { WriteTarget, WriteWindowOptions } from './write-window.js'
import { WriteWindow } from './write-window.js'

/**
 * Chunks up to this many slots are copied together, so that their memory is free at once and the next comes while
 * they are written; with 16 KiB chunks 3.3x as fast as writes of their own, with 1 MiB 1.1x. Larger ones are written
 * from where they are: a copy would double their memory.
 */
const gatherSlotsMax = 2
/** Bytes of a slot at least: a small `highWaterMark` says how much may wait, not how small writes are to be. */
const slotMin = 64 * 1024
/** Larger chunks are written in pieces of this size, so that several are in flight. */
const pieceMax = 2 * 1024 * 1024

export interface WriteBehindOptions extends WriteWindowOptions {
  /** Bytes of one gathered write; 64 KiB at least. */
  chunkSize: number
}

/** Gathers small chunks, and takes leased ones without copying. */
export class WriteBehind extends WriteWindow {
  /** Bytes of which buffers are whole multiples. */
  protected readonly unit: number
  protected readonly gather: Gather
  protected readonly buffers: WindowBuffers
  protected readonly slotSize: number
  private _accepted = 0
  private _flushScheduled = false
  private readonly _append: boolean

  constructor(target: WriteTarget, options: WriteBehindOptions) {
    const { ring, facts, direct } = target
    super(target, options)
    this.unit = direct?.unit ?? 1
    this.slotSize = ceilTo(this.unit, Math.max(options.chunkSize, slotMin))
    this._append = facts.append
    this.buffers = new WindowBuffers(ring.engine, this.slotSize, this.writeBehind + 1, direct !== null)
    this.gather = new Gather(this.buffers, this.slotSize)
  }

  /** Bytes accepted. */
  get accepted(): number {
    return this._accepted
  }

  /** Bytes accepted and not yet written. */
  get pendingBytes(): number {
    return this._accepted - this.written
  }

  /** Whether a chunk of so many bytes would be started at once, or gathered. */
  hasRoomFor(bytes: number): boolean {
    return bytes > 0 && (this.hasRoom || this._gathers(bytes))
  }

  private _gathers(bytes: number): boolean {
    return !this.gather.isEmpty && bytes <= this.gather.room
  }

  /** Gathers a short string in UTF-8, if there is room. */
  acceptString(text: string): boolean {
    const bytesMax = text.length * 3
    if (bytesMax > this.slotSize || !this.hasRoomFor(bytesMax)) return false
    // A gather that is not full ends within a unit, which costs two writes more.
    if (this.unit > 1 && bytesMax > (this.gather.isEmpty ? this.slotSize - this.unit : this.gather.room)) return false
    this.openGather(bytesMax)
    this._accepted += this.gather.addString(text)
    this._flushLater()
    return true
  }

  /** Takes a chunk to write behind those before it; of a leased chunk, one reference to its lease. */
  accept(chunk: Uint8Array, lease: Lease | undefined): void {
    this._accepted += chunk.length
    this.take(chunk, lease)
    this.fill()
  }

  protected take(chunk: Uint8Array, lease: Lease | undefined): void {
    if (chunk.length === 0) lease?.release() // a write of nothing brings nothing, as on a disk that cannot go on
    else if (lease !== undefined) this._pushLease(lease, chunk)
    else if (chunk.length <= this.slotSize * (this._append ? 1 : gatherSlotsMax)) this.gatherIn(chunk, 0)
    else this._pushCallers(chunk)
  }

  /** Takes all of a lease, which need not have become a chunk, with one reference to it. */
  acceptLease(lease: Lease): void {
    this._accepted += lease.length
    this.takeLease(lease)
    this.fill()
  }

  protected takeLease(lease: Lease): void {
    this._pushLease(lease, null)
  }

  /** @param chunk a part of the lease's; null: all of it */
  private _pushLease(lease: Lease, chunk: Uint8Array | null): void {
    this.flushGather()
    this.leases++
    this.push(this.writeOf(this.sourceOf(lease, chunk)))
  }

  protected sourceOf(loan: Lease, chunk: Uint8Array | null): WriteSource {
    const size = chunk?.length ?? loan.length
    if (loan.buffer.engine !== this.ring.engine) return { loan, chunk: chunk ?? loan.chunk, offset: 0, size }
    const offset = loan.offset + (chunk === null ? 0 : chunk.byteOffset - loan.chunk.byteOffset)
    return { loan, chunk: null, offset, size }
  }

  /** From where it is, in pieces. */
  private _pushCallers(chunk: Uint8Array): void {
    this.flushGather()
    this.callersBytes += chunk.length
    for (let offset = 0; offset < chunk.length; offset += pieceMax) {
      this.push(this.writeOf({ loan: null, chunk, offset, size: Math.min(pieceMax, chunk.length - offset) }))
    }
  }

  protected gatherIn(chunk: Uint8Array, from: number): void {
    // Others may append as well: what is written in one piece stays in one.
    if (this._append && chunk.length > this.gather.room) this.flushGather()
    while (from < chunk.length) {
      this.openGather(1)
      const to = Math.min(chunk.length, from + this.gather.room)
      // The view costs more than a short line's copy.
      this.gather.add(to - from === chunk.length ? chunk : chunk.subarray(from, to))
      from = to
      if (this.gather.room === 0) this.flushGather()
    }
    if (!this.gather.isEmpty) this._flushLater()
  }

  /** Memory with room for so many bytes after those gathered. */
  protected openGather(bytes: number): void {
    if (bytes > this.gather.room) this.flushGather()
    // What has its place in the middle of a unit has it there in memory, too.
    this.gather.open(this.next % this.unit)
  }

  private _flushLater(): void {
    if (this.inFlight > 0 || this._flushScheduled) return // a completion will flush it
    this._flushScheduled = true
    process.nextTick(this._flushSoon)
  }

  private readonly _flushSoon = (): void => {
    this._flushScheduled = false
    if (this.inFlight === 0) this.flush()
  }

  /** Starts writing what was gathered. */
  flush(): void {
    this.flushGather()
    this.fill()
  }

  protected override flushGather(): void {
    if (!this.gather.isEmpty) this.pushGathered(this.gather.take())
  }

  protected pushGathered(source: WriteSource & { loan: Loan }): void {
    this.push(this.writeOf(source))
  }

  /** @param unit bytes of which it is a whole multiple */
  protected writeOf(source: WriteSource, file = this.file, unit = 1): ChunkWrite {
    return new ChunkWrite(this, this.next, source, file, unit)
  }

  protected override drop(): void {
    this.gather.drop()
  }

  protected override releaseBuffers(): void {
    this.buffers.close()
  }
}
