/** The window of writes under every writable. */
import type { Window } from './admission.js'
import { constants } from 'node:os'
import { Lease, Loan, WindowBuffers } from './buffers.js'
import type { WriteSource } from './chunk-write.js'
import { ChunkWrite } from './chunk-write.js'
import type { DirectFile } from './direct.js'
import { ceilTo } from './direct.js'
import type { FileFacts, OpenFile } from './engine.js'
import { currentPosition } from './engine.js'
import { errnoError, invalidState } from './errors.js'
import { FlushedPrefix } from './flushed-prefix.js'
import { Gather } from './gather.js'
import { retried } from './retry.js'
import type { Ring } from './ring.js'

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

export interface WriteBehindOptions {
  ring: Ring
  file: OpenFile
  facts: FileFacts
  /** What takes whole units, for a DirectWriteBehind; null: everything goes through the page cache. */
  direct?: DirectFile | null
  /** RWF_* of each write. */
  writeFlags?: number
  /** The first byte; undefined: the file's own position. */
  start?: number
  /** Bytes of one gathered write; 64 KiB at least. */
  chunkSize: number
  /** Writes in flight at most. */
  writeBehind: number
  /** Something was written, or the window has failed. */
  progressed: () => void
}

/**
 * Keeps writes in flight at rising positions, gathers small chunks, and takes leased ones without copying.
 * The first error wins: later writes are not started.
 */
export class WriteBehind implements Window {
  readonly ring: Ring
  readonly file: OpenFile
  readonly writeFlags: number
  /** Bytes of which buffers are whole multiples. */
  protected readonly unit: number
  /** The first error, set when nothing is in flight any more. */
  error: Error | null = null
  /** Bytes written without a gap from the start. */
  written = 0
  /** Bytes of the caller's own memory that the kernel may still read. */
  callersBytes = 0
  /** Leased chunks not yet written. */
  leases = 0
  private _accepted = 0
  private readonly _start: number
  protected next: number
  private _limit: number
  private _inFlight = 0
  private _failure: Error | null = null
  private _closing = false
  private _telling = false
  private _closed: (() => void) | null = null
  /** Everything not yet written, in order; the first `_started` of them were given to the ring. */
  private readonly _writes: ChunkWrite[] = []
  private _started = 0
  protected readonly gather: Gather
  private _flushScheduled = false
  protected readonly buffers: WindowBuffers
  /** Null where nothing is known of the disk. */
  private readonly _flushed: FlushedPrefix | null
  private readonly _sequential: boolean
  private readonly _append: boolean
  protected readonly slotSize: number
  private readonly _writeBehind: number
  private readonly _progressed: () => void

  constructor({ ring, file, facts, start, chunkSize, writeBehind, progressed, direct = null, writeFlags = 0 }: WriteBehindOptions) {
    this.ring = ring
    this.file = file
    this.writeFlags = writeFlags
    this._flushed = writeFlags !== 0 && facts.regular ? new FlushedPrefix() : null
    this.unit = direct?.unit ?? 1
    this.slotSize = ceilTo(this.unit, Math.max(chunkSize, slotMin))
    this._append = facts.append
    this._progressed = progressed
    // Where the kernel chooses the position, two writes in flight could change places.
    const sequential = this._sequential = direct === null && (facts.append || facts.position < 0 || !facts.regular)
    this._writeBehind = this._limit = sequential ? 1 : writeBehind
    this.next = sequential && (facts.append || start === undefined) ? currentPosition : start ?? facts.position
    this._start = Math.max(this.next, 0)
    this.buffers = new WindowBuffers(ring.engine, this.slotSize, this._writeBehind + 1, direct !== null)
    this.gather = new Gather(this.buffers, this.slotSize)
    ring.addWindow(this)
  }

  /** Where what is known to be on the disk ends; what the file held before is taken for that. */
  get flushedPosition(): number {
    return this._start + (this._flushed?.bytes ?? 0)
  }

  /** Where the part without a gap ends. */
  get position(): number {
    return this._start + this.written
  }

  /** Bytes accepted. */
  get accepted(): number {
    return this._accepted
  }

  /** Bytes accepted and not yet written. */
  get pendingBytes(): number {
    return this._accepted - this.written
  }

  /** Operations accepted and not yet written. */
  get pendingWrites(): number {
    return this._writes.length
  }

  /** Whether another chunk would be started at once. */
  get hasRoom(): boolean {
    return this._started === this._writes.length && this._inFlight < this._limit
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
    this._fill()
  }

  protected take(chunk: Uint8Array, lease: Lease | undefined): void {
    if (lease !== undefined) this._pushLease(lease, chunk)
    else if (chunk.length <= this.slotSize * (this._append ? 1 : gatherSlotsMax)) this.gatherIn(chunk, 0)
    else this._pushCallers(chunk)
  }

  /** Takes all of a lease, which need not have become a chunk, with one reference to it. */
  acceptLease(lease: Lease): void {
    this._accepted += lease.length
    this.takeLease(lease)
    this._fill()
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
    if (this._inFlight > 0 || this._flushScheduled) return // a completion will flush it
    this._flushScheduled = true
    process.nextTick(this._flushSoon)
  }

  private readonly _flushSoon = (): void => {
    this._flushScheduled = false
    if (this._inFlight === 0) this.flush()
  }

  /** Starts writing what was gathered. */
  flush(): void {
    this.flushGather()
    this._fill()
  }

  protected flushGather(): void {
    if (!this.gather.isEmpty) this.pushGathered(this.gather.take())
  }

  protected pushGathered(source: WriteSource & { loan: Loan }): void {
    this.push(this.writeOf(source))
  }

  /** @param unit bytes of which it is a whole multiple */
  protected writeOf(source: WriteSource, file = this.file, unit = 1): ChunkWrite {
    return new ChunkWrite(this, this.next, source, file, unit)
  }

  protected push(write: ChunkWrite): void {
    this._writes.push(write)
    if (this.next !== currentPosition) this.next += write.size
  }

  /** Called before a write is started. False: not now. */
  protected prepare(_write: ChunkWrite, _inFlight: number): boolean {
    return true
  }

  /** Nothing more is to be written, because of this. */
  protected fail(error: Error): void {
    this._failure ??= error
    if (this._inFlight > 0) return // the last to complete tells
    this._end()
    process.nextTick(this._tell)
  }

  private _fill(): void {
    if (this._failure !== null || this._closing) return
    while (this._started < this._writes.length && this._inFlight < this._limit) {
      const write = this._writes[this._started]
      if (!this.prepare(write, this._inFlight)) return
      // One is always due; more only where the ring has room to spare.
      if (this._inFlight === 0) this.ring.start(write)
      else if (!this.ring.tryStart(write)) return
      this._inFlight++
      this._started++
    }
  }

  /** A write came back from the ring. @internal */
  completed(write: ChunkWrite, result: number): void {
    if (this._goesOn(write, result)) return
    this._inFlight--
    this._release(write)
    this._advance()
    if (this._closing) return this._finishClose()
    if (!this.ring.pressure) this._limit = Math.min(this._limit * 2, this._writeBehind)
    if (this._inFlight === 0) this.flushGather()
    this._fill()
    this._end()
    if (this._telling) return
    this._telling = true
    this.ring.afterBatch(this._tell)
  }

  private readonly _tell = (): void => {
    this._telling = false
    if (!this._closing) this._progressed()
  }

  /** Takes the result in. True if the write was started again for what is missing. */
  private _goesOn(write: ChunkWrite, result: number): boolean {
    const stopped = this._closing || this._failure !== null
    if (!stopped && retried(this.ring, write, result)) return true
    if (write.detached) this._failure ??= invalidState('a chunk was detached while it was being written')
    // Nothing written and no error: what a disk that cannot go on answers.
    if (result <= 0) this._failure ??= write.error ?? errnoError(result || -constants.errno.EIO, 'write')
    if (result <= 0) return false
    const { moved } = write
    write.done = write.aim(result)
    if (write.moved === moved) this._failure ??= errnoError(-constants.errno.EIO, 'write') // not even a unit
    if (write.done || stopped || this._failure !== null) return false
    this.ring.start(write)
    return true
  }

  /** After a failure nothing more is written. What the first incomplete write has brought is in the file as well. */
  private _end(): void {
    if (this._inFlight > 0 || this._failure === null || this.error !== null) return
    if (this._writes.length > 0) this.written += this._writes[0].moved
    this.error = this._failure
  }

  /** Counts what is written without a gap. */
  private _advance(): void {
    let first = 0
    while (first < this._writes.length && this._writes[first].done) this.written += this._writes[first++].size
    this._writes.splice(0, first)
    this._started -= first
    if (this._flushed !== null && this._failure === null) this._flushed.advance(this.written, this.written + this._bytesInFlight)
  }

  private get _bytesInFlight(): number {
    return this._writes.slice(0, this._started).reduce((sum, { size }) => sum + size, 0)
  }

  private _releaseLoan(loan: Loan): void {
    if (loan instanceof Lease) this.leases--
    loan.release()
  }

  private _release(write: ChunkWrite): void {
    if (write.loan !== null) this._releaseLoan(write.loan)
    else this.callersBytes -= write.size
  }

  /** @internal */
  shrink(share: number): boolean {
    if (this._limit <= share) return false
    this._limit = share
    return true
  }

  /**
   * Drops what is not in flight, waits for what is, and calls back when all of it is over: only then may
   * the file be closed.
   */
  close(closed: () => void): void {
    this._closing = true
    for (const write of this._writes.splice(this._started)) this._release(write)
    // A write cancelled between others that happen would leave a hole; those to a regular file end soon.
    if (this._sequential) for (const write of [...this._writes]) if (!write.done) this.ring.cancel(write)
    this.gather.drop()
    this._closed = closed
    this._finishClose()
  }

  private _finishClose(): void {
    if (this._closed === null || this._inFlight > 0) return
    this.buffers.close()
    this.ring.removeWindow(this)
    this._closed()
  }
}
