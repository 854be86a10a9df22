/** The window of writes under every writable. */
import type { Window } from './admission.js'
import { constants } from 'node:os'
import { Lease, Loan, WindowBuffers } from './buffers.js'
import type { FileFacts, OpenFile } from './engine.js'
import { currentPosition, Opcode, Request } from './engine.js'
import { errnoError, invalidState } from './errors.js'
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
  /** The first byte; undefined: the file's own position. */
  start?: number
  /** Bytes of one gathered write; 64 KiB at least. */
  chunkSize: number
  /** Writes in flight at most. */
  writeBehind: number
  /** Something was written, or the window has failed. */
  progressed: () => void
}

/** Node's Buffers have it, its types do not: `write` without looking at its arguments. */
type GatherChunk = Buffer & { utf8Write(text: string, offset: number): number }

/** One write: a place in the file, and the memory it empties. */
class ChunkWrite extends Request {
  /** Bytes written so far. */
  moved = 0
  done = false
  private readonly _offset: number

  /**
   * @param loan what keeps the memory; null: it is the caller's
   * @param chunk the memory, unless it is in a buffer of this ring's engine
   */
  constructor(
    readonly window: WriteBehind, readonly place: number, readonly loan: Loan | null, chunk: Uint8Array | null,
    offset: number, readonly size: number
  ) {
    super()
    this.opcode = Opcode.write
    this.file = window.file
    if (chunk === null) this.buffer = loan!.buffer
    else this.memory = chunk
    this._offset = offset
    this.aim(0)
  }

  /** Points it at what is still missing. True when nothing is. */
  aim(moved: number): boolean {
    this.moved += moved
    this.offset = this._offset + this.moved
    this.length = this.size - this.moved
    this.position = this.place === currentPosition ? currentPosition : this.place + this.moved
    return this.length === 0
  }

  /** The caller gave the memory away while it was being written: what the kernel found there is unknown. */
  get detached(): boolean {
    return this.memory !== null && this.memory.byteLength < this._offset + this.size
  }

  override completed(result: number): void {
    this.window.completed(this, result)
  }
}

/**
 * Keeps writes in flight at rising positions, gathers small chunks, and takes leased ones without copying.
 * The first error wins: later writes are not started.
 */
export class WriteBehind implements Window {
  readonly ring: Ring
  readonly file: OpenFile
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
  private _next: number
  private _limit: number
  private _inFlight = 0
  private _failure: Error | null = null
  private _closing = false
  private _telling = false
  private _closed: (() => void) | null = null
  /** Everything not yet written, in order; the first `_started` of them were given to the ring. */
  private readonly _writes: ChunkWrite[] = []
  private _started = 0
  private _gather: Loan | null = null
  private _gathered = 0
  private _flushScheduled = false
  private readonly _buffers: WindowBuffers
  private readonly _sequential: boolean
  private readonly _slotSize: number
  private readonly _writeBehind: number
  private readonly _progressed: () => void

  constructor({ ring, file, facts, start, chunkSize, writeBehind, progressed }: WriteBehindOptions) {
    this.ring = ring
    this.file = file
    this._slotSize = Math.max(chunkSize, slotMin)
    this._progressed = progressed
    // Where the kernel chooses the position, two writes in flight could change places.
    const sequential = this._sequential = facts.append || facts.position < 0 || !facts.regular
    this._writeBehind = this._limit = sequential ? 1 : writeBehind
    this._next = sequential && (facts.append || start === undefined) ? currentPosition : start ?? facts.position
    this._start = Math.max(this._next, 0)
    this._buffers = new WindowBuffers(ring.engine, this._slotSize, this._writeBehind + 1)
    ring.addWindow(this)
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
    return this._gather !== null && this._gathered + bytes <= this._slotSize
  }

  /** Gathers a short string in UTF-8, if there is room. */
  acceptString(text: string): boolean {
    const bytesMax = text.length * 3
    if (bytesMax > this._slotSize || !this.hasRoomFor(bytesMax)) return false
    const bytes = this._gatherFor(bytesMax).utf8Write(text, this._gathered)
    this._accepted += bytes
    this._gathered += bytes
    this._flushLater()
    return true
  }

  /** Takes a chunk to write behind those before it; of a leased chunk, one reference to its lease. */
  accept(chunk: Uint8Array, lease: Lease | undefined): void {
    this._accepted += chunk.length
    if (lease !== undefined) {
      this._flushGather()
      this.leases++
      const here = lease.buffer.engine === this.ring.engine
      if (here) this._push(lease, null, chunk.byteOffset - lease.chunk.byteOffset, chunk.length)
      else this._push(lease, chunk, 0, chunk.length)
    } else if (chunk.length === 0) {
      // Nothing to write, and nobody to tell but those who wait.
    } else if (chunk.length <= gatherSlotsMax * this._slotSize) {
      this._gatherIn(chunk)
    } else {
      this._flushGather()
      this.callersBytes += chunk.length
      for (let offset = 0; offset < chunk.length; offset += pieceMax) {
        this._push(null, chunk, offset, Math.min(pieceMax, chunk.length - offset))
      }
    }
    this._fill()
  }

  /** Takes all of a lease, which need not have become a chunk, with one reference to it. */
  acceptLease(lease: Lease): void {
    this._accepted += lease.length
    this._flushGather()
    this.leases++
    const here = lease.buffer.engine === this.ring.engine
    this._push(lease, here ? null : lease.chunk, 0, lease.length)
    this._fill()
  }

  private _gatherIn(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length;) {
      const to = Math.min(chunk.length, from + this._slotSize - this._gathered)
      // The view costs more than a short line's copy.
      this._gatherFor(to - from).set(to - from === chunk.length ? chunk : chunk.subarray(from, to), this._gathered)
      this._gathered += to - from
      from = to
      if (this._gathered === this._slotSize) this._flushGather()
    }
    if (this._gathered > 0) this._flushLater()
  }

  /** Memory with room for so many bytes after those gathered. */
  private _gatherFor(bytes: number): GatherChunk {
    if (this._gathered + bytes > this._slotSize) this._flushGather()
    this._gather ??= new Loan(this._buffers.acquire(), this._slotSize, this._buffers.release)
    return this._gather.chunk as GatherChunk
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
    this._flushGather()
    this._fill()
  }

  private _flushGather(): void {
    if (this._gather === null) return
    const [loan, size] = [this._gather, this._gathered]
    this._gather = null
    this._gathered = 0
    this._push(loan, null, 0, size)
  }

  private _push(loan: Loan | null, chunk: Uint8Array | null, offset: number, size: number): void {
    this._writes.push(new ChunkWrite(this, this._next, loan, chunk, offset, size))
    if (this._next !== currentPosition) this._next += size
  }

  private _fill(): void {
    if (this._failure !== null || this._closing) return
    while (this._started < this._writes.length && this._inFlight < this._limit) {
      const write = this._writes[this._started]
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
    if (this._inFlight === 0) this._flushGather()
    this._fill()
    if (this._inFlight === 0 && this._failure !== null) this._end(this._failure)
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
    write.done = write.aim(result)
    if (write.done || stopped) return false
    this.ring.start(write)
    return true
  }

  /** Nothing more will be written. What the first incomplete write has brought is in the file as well. */
  private _end(error: Error): void {
    if (this.error === null && this._writes.length > 0) this.written += this._writes[0].moved
    this.error = error
  }

  /** Counts what is written without a gap. */
  private _advance(): void {
    let first = 0
    while (first < this._writes.length && this._writes[first].done) this.written += this._writes[first++].size
    this._writes.splice(0, first)
    this._started -= first
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
    this._gather?.release()
    this._gather = null
    this._closed = closed
    this._finishClose()
  }

  private _finishClose(): void {
    if (this._closed === null || this._inFlight > 0) return
    this._buffers.close()
    this.ring.removeWindow(this)
    this._closed()
  }
}
