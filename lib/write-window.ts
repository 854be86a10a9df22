/** A window of writes: those at rising positions, several of them in flight. */
import { constants } from 'node:os'
import type { Window } from './admission.js'
import { Lease } from './buffers.js'
import type { ChunkWrite } from './chunk-write.js'
import type { DirectFile } from './direct.js'
import { EarlyWriteback } from './early-writeback.js'
import type { FileFacts, OpenFile } from './engine.js'
import { currentPosition } from './engine.js'
import { errnoError, invalidState } from './errors.js'
import { FlushedPrefix } from './flushed-prefix.js'
import { retried } from './retry.js'
import type { Ring } from './ring.js'
import { SharedDescriptor } from './shared-descriptor.js'
import { SpaceAhead } from './space-ahead.js'

/** The file that a window writes. */
export interface WriteTarget {
  ring: Ring
  file: OpenFile
  facts: FileFacts
  /** RWF_* of each write. */
  writeFlags: number
  /** All of it is to be on the disk in the end. */
  synced: boolean
  /** There is space for it. */
  allocated: boolean
  /** Others have the descriptor. */
  shared: boolean
  /** What takes whole units, past the page cache; null: everything goes through it. */
  direct: DirectFile | null
}

export interface WriteWindowOptions {
  /** The first byte; undefined: the file's own position. */
  start?: number
  /** Writes in flight at most. */
  writeBehind: number
  /** Something was written, or the window has failed. */
  progressed: () => void
}

/** The first error wins: later writes are not started. */
export abstract class WriteWindow implements Window {
  readonly ring: Ring
  readonly file: OpenFile
  readonly writeFlags: number
  /** The first error, set when nothing is in flight any more. */
  error: Error | null = null
  /** Bytes written without a gap from the start. */
  written = 0
  /** Bytes of the caller's own memory that the kernel may still read. */
  callersBytes = 0
  /** Leased chunks not yet written. */
  leases = 0
  /** Where the next write goes. */
  protected next: number
  protected inFlight = 0
  private _start: number
  private _limit: number
  private _failure: Error | null = null
  private _closing = false
  private _telling = false
  private _closed: (() => void) | null = null
  /** Everything not yet written, in order; the first `_started` of them were given to the ring. */
  private readonly _writes: ChunkWrite[] = []
  private _started = 0
  /** Of those, direct ones that wait to go on through the page cache. */
  private _stalled = 0
  /** Null where nothing is known of the disk. */
  private readonly _flushed: FlushedPrefix | null
  /** Null where the disk has its time. */
  private readonly _writeback: EarlyWriteback | null
  /** Null where that is of no use. */
  private readonly _space: SpaceAhead | null
  private readonly _sequential: boolean
  /** Set where others have the descriptor as well. */
  private _shared: SharedDescriptor | null = null
  private readonly _mayShare: boolean
  protected readonly writeBehind: number
  private readonly _progressed: () => void

  constructor({ ring, file, facts, synced, allocated, shared, direct, writeFlags }: WriteTarget, { start, writeBehind, progressed }: WriteWindowOptions) {
    // Direct writes are each at a position, also where the file has none of its own.
    const positional = direct !== null
    this.ring = ring
    this.file = file
    this.writeFlags = writeFlags
    this._flushed = writeFlags !== 0 && facts.regular ? new FlushedPrefix() : null
    this._progressed = progressed
    // Where the kernel chooses the position, two writes in flight could change places. It must where others may come to have
    // the descriptor, and nobody can move that for them.
    const cannotFollow = start === undefined && !ring.engine.seeks
    const sequential = this._sequential = !positional && (facts.append || facts.position < 0 || !facts.regular || cannotFollow)
    this.writeBehind = this._limit = sequential ? 1 : writeBehind
    this.next = sequential && start === undefined ? currentPosition : start ?? facts.position
    this._start = Math.max(this.next, 0)
    // Direct writes are with the disk, those with RWF_DSYNC on it.
    const cached = facts.regular && !sequential && !positional && writeFlags === 0
    this._writeback = cached && synced ? new EarlyWriteback(file.fd, this._start) : null
    this._space = cached && !allocated && ring.engine.chainMax > 1 ? new SpaceAhead(file.fd, () => this.fill()) : null
    this._mayShare = !sequential && !positional && start === undefined
    if (shared && this._mayShare) this._shared = new SharedDescriptor(ring.engine, file.fd)
    ring.addWindow(this)
  }

  /** Makes a write of what waits to become one: nothing is in flight any more. */
  protected abstract flushGather(): void

  /** Gives back the memory of what never became a write. */
  protected abstract drop(): void

  /** Gives back all memory: nothing is in flight, and nothing will be. */
  protected abstract releaseBuffers(): void

  /** Writes go to where the descriptor stands: others have it as well. */
  get isShared(): boolean {
    return this._shared !== null
  }

  /** Where what is known to be on the disk ends; what the file held before is taken for that. */
  get flushedPosition(): number {
    return this._start + (this._flushed?.bytes ?? 0)
  }

  /** Where the part without a gap ends. */
  get position(): number {
    return this._start + this.written
  }

  /** Operations accepted and not yet written. */
  get pendingWrites(): number {
    return this._writes.length
  }

  /** Whether another chunk would be started at once. */
  get hasRoom(): boolean {
    return this._started === this._writes.length && this.inFlight < this._limit
  }

  /** Others get the descriptor. Until then its position is nobody's concern: to ask for it and to set it costs two system calls. */
  share(): void {
    if (!this._mayShare || this._shared !== null) return
    this.flushGather()
    this.fill()
    this._shared = new SharedDescriptor(this.ring.engine, this.file.fd)
    this._shared.standAt(this.next)
  }

  protected push(write: ChunkWrite): void {
    this._writes.push(write)
    this._shared?.add(write)
    if (this.next !== currentPosition) this.next += write.size
  }

  /** What is to be written goes so much further on: others have written before it. */
  private _move(bytes: number): void {
    this.next += bytes
    this._start += bytes
  }

  /** Called before a write is started. False: not now. */
  protected prepare(_write: ChunkWrite): boolean {
    return true
  }

  /** Nothing more is to be written, because of this. */
  protected fail(error: Error): void {
    this._failure ??= error
    if (this.inFlight > 0) return // the last to complete tells
    this._end()
    process.nextTick(this._tell)
  }

  protected fill(): void {
    if (this._closing) return
    this._move(this._shared?.takePlaces(this.next) ?? 0)
    if (this._stalled > 0) return this._goOnThroughCache()
    if (this._failure !== null) return
    while (this._started < this._writes.length && this.inFlight < this._limit) {
      const write = this._writes[this._started]
      if (!this.prepare(write)) return
      const first = this._space === null ? write : this._space.before(write)
      if (first === null) return
      // Counted before: who is told of the submission may close the window.
      this.inFlight++
      this._started++
      // One is always due; more only where the ring has room to spare.
      if (this.inFlight === 1) this.ring.start(first)
      else if (!this.ring.tryStart(first)) return this._takeBack()
      if (this._closing) return
    }
  }

  private _takeBack(): void {
    this.inFlight--
    this._started--
  }

  /** The first one goes on when nothing else is in flight; also after a failure, if that was behind it: what fits is written. */
  private _goOnThroughCache(): void {
    const [first] = this._writes
    if (this.inFlight > 0 || !first.stalled) return
    first.goOnThroughCache(this.file)
    this._stalled--
    this.prepare(first)
    this.inFlight++
    this.ring.start(first)
  }

  /** A write came back from the ring. @internal */
  completed(write: ChunkWrite, result: number): void {
    if (this._goesOn(write, result)) return
    this.inFlight--
    if (!write.stalled) this._release(write)
    this._advance()
    if (this._closing) return this._finishClose()
    if (!this.ring.pressure) this._limit = Math.min(this._limit * 2, this.writeBehind)
    if (this.inFlight === 0) this.flushGather()
    this.fill()
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
    const { moved } = write
    if (result > 0) write.done = write.aim(result)
    const stuck = write.moved === moved
    // After a failure nothing is started any more, but the rest of what fits is written.
    if (!write.done && !this._closing && (stuck || stopped) && write.stallsAt(result)) this._stalled++
    // Nothing written and no error: what a disk that cannot go on answers.
    else if (stuck) this._failure ??= write.error ?? errnoError(result < 0 ? result : -constants.errno.EIO, 'write')
    // What the page cache has taken was not for it: nothing goes on behind this one.
    if (write.done && write.refusal < 0) {
      write.done = false
      this._failure ??= errnoError(write.refusal, 'write')
    }
    if (write.done || write.stalled || stopped || this._failure !== null) return false
    this.ring.start(write)
    return true
  }

  /** After a failure nothing more is written. What the first incomplete write has brought is in the file as well. */
  private _end(): void {
    if (this.inFlight > 0 || this._failure === null || this.error !== null) return
    if (this._writes.length > 0) this.written += this._writes[0].moved
    this.error = this._failure
    this._shared?.returnTo(this.position, this.next)
  }

  /** Counts what is written without a gap. */
  private _advance(): void {
    let first = 0
    while (first < this._writes.length && this._writes[first].done) this.written += this._writes[first++].size
    this._writes.splice(0, first)
    this._started -= first
    this._writeback?.reached(this.position)
    if (this._flushed !== null && this._failure === null) this._flushed.advance(this.written, this.written + this._bytesInFlight)
  }

  private get _bytesInFlight(): number {
    return this._writes.slice(0, this._started).reduce((sum, { size }) => sum + size, 0)
  }

  private _release({ loan, size }: ChunkWrite): void {
    if (loan === null) {
      this.callersBytes -= size
      return
    }
    if (loan instanceof Lease) this.leases--
    loan.release()
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
    for (const write of this._writes) if (write.stalled) this._release(write)
    // A write cancelled between others that happen would leave a hole; those to a regular file end soon.
    if (this._sequential) for (const write of [...this._writes]) if (!write.done) this.ring.cancel(write)
    this.drop()
    this._closed = closed
    this._finishClose()
  }

  private _finishClose(): void {
    if (this._closed === null || this.inFlight > 0) return
    this._shared?.returnTo(this.position, this.next)
    this.releaseBuffers()
    this.ring.removeWindow(this)
    const closed = this._closed
    const allocated = (): void => this._space === null ? closed() : this._space.ended(closed)
    if (this._writeback === null) allocated()
    else this._writeback.ended(allocated)
  }
}
