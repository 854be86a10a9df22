/** The ordered window of reads under every readable. */
import type { Window } from './admission.js'
import { Lease, WindowBuffers } from './buffers.js'
import { allocateChunk } from './chunk-memory.js'
import { ChunkRead } from './chunk-read.js'
import { ConsumerPace } from './consumer-pace.js'
import { ceilTo, floorTo } from './direct.js'
import type { EngineBuffer, FileFacts, OpenFile } from './engine.js'
import { currentPosition, IOSQE_ASYNC } from './engine.js'
import { errnoError } from './errors.js'
import { retried } from './retry.js'
import type { Ring } from './ring.js'

/** Bytes to ask for where the file ended when it was opened: enough to see that it ends. */
const probeBytes = 1024

/**
 * A read that lets its consumer wait longer than this (ms, and ms for each byte) is of a disk, and not of the page cache,
 * from which a MiB comes in 0.1 ms: then more are begun ahead. Many consumers ask again only when they have a chunk.
 */
const slowRead = 0.1
const slowReadByte = 2e-7

/** The file that a window reads. */
export interface ReadSource {
  ring: Ring
  file: OpenFile
  facts: FileFacts
  /** Reads are whole multiples of so many bytes: `file` has O_DIRECT. 1 by default. */
  unit?: number
}

export interface ReadAheadOptions {
  /** The first byte; undefined: the file's own position. */
  start?: number
  /** Bytes to read at most. */
  length: number
  /** Bytes of one read. */
  chunkSize: number
  /** Reads in flight at most. */
  readAhead: number
  /** Into the engine's buffers, handed out as leases; otherwise each chunk has memory of its own. */
  leased: boolean
  /** There is something to take, after `take` had nothing. */
  readable: () => void
}

/**
 * Keeps reads in flight at rising positions and hands their chunks out in order. It begins with one and
 * grows to `readAhead` only while its consumer has to wait.
 */
export class ReadAhead implements Window {
  readonly ring: Ring
  readonly file: OpenFile
  /** Bytes of which reads are whole multiples. */
  readonly unit: number
  /** Whether the next reads fill the engine's buffers. */
  leased: boolean
  /** Set when everything was taken. */
  ended = false
  /** The first error, set once everything before it was taken. */
  error: Error | null = null
  private readonly _reads: ChunkRead[] = []
  /** Reads that are over, to be used again. */
  private readonly _spares: ChunkRead[] = []
  private readonly _buffers: WindowBuffers
  private readonly _readable: () => void
  private readonly _chunkSize: number
  private readonly _readAhead: number
  /** One read at a time, delivered as it comes: pipes, terminals, files that do not know their size. */
  private readonly _sequential: boolean
  private _limit = 1
  private _next: number
  private _left: number
  private _sizeHint: number
  private _waiting = false
  private _waitingSince = 0
  private readonly _pace = new ConsumerPace()
  private _inFlight = 0
  private _closed: (() => void) | null = null

  constructor({ ring, file, facts, unit = 1 }: ReadSource, { start, length, chunkSize, readAhead, leased, readable }: ReadAheadOptions) {
    this.ring = ring
    this.file = file
    this.unit = unit
    this.leased = leased
    this._readable = readable
    this._chunkSize = ceilTo(unit, chunkSize)
    this._readAhead = readAhead
    this._left = length
    this._sizeHint = facts.size
    // No file is direct that does not know its size.
    this._sequential = unit === 1 && (facts.position < 0 || !facts.regular || facts.size === 0)
    this._next = start ?? (this._sequential ? currentPosition : facts.position)
    const known = this._sequential ? chunkSize : Math.max(facts.size - floorTo(unit, this._next), 1)
    this._buffers = new WindowBuffers(ring.engine, Math.min(this._chunkSize, ceilTo(unit, known)), readAhead + 1, unit > 1)
    ring.addWindow(this)
  }

  /**
   * The next chunk. Null when there is none yet (`readable` follows), at the end (`ended`), and after an
   * error (`error`).
   */
  take(): Buffer | null {
    const taken = this.takeUnseen()
    return taken instanceof Lease ? taken.chunk : taken
  }

  /** The same, but of a lease no chunk that JavaScript could see: for one that goes on into a window of writes. */
  takeUnseen(): Lease | Buffer | null {
    if (this._isOver) return null
    this._pace.asks(this.ring.batches)
    const read = this._reads[0]
    if (read === undefined && this._left <= 0) return this._end(null)
    if (read === undefined || !read.done) return this._wait()
    this._reads.shift()
    this._unhold(read)
    if (read.failure !== null || read.filled === read.skip) {
      this._discard(read)
      return this._end(read.failure)
    }
    this._pace.takes(read.filled - read.skip, this.ring.batches)
    const chunk = this._chunkOf(read)
    this._spares.push(read)
    if (read.ended) this._end(null)
    else if (this._limit > 1) this._fill()
    return chunk
  }

  private get _isOver(): boolean {
    return this.ended || this.error !== null
  }

  /**
   * Leases grow in number whenever their consumer comes back too early: a read of its own enters the kernel by itself. Owned
   * chunks do so for one that asks twice: cached ones are faster one at a time, in memory just used (both 1.15x, 2026-11-26).
   */
  private _wait(): null {
    if (!this._waiting) this._waitingSince = performance.now()
    this._waiting = true
    if (this._reads.length > 0 || (this.leased && this._pace.hasTaken)) this._grow()
    this._fill()
    return null
  }

  private _grow(): void {
    if (!this.ring.pressure) this._limit = Math.min(this._limit * 2, this._readAhead)
  }

  private _chunkOf(read: ChunkRead): Lease | Buffer {
    const { buffer, filled, skip } = read
    if (buffer !== null && (this.leased || this.unit === 1)) return new Lease(buffer, filled - skip, this._buffers.release, skip)
    if (buffer !== null) return this._copyOf(buffer, skip, filled - skip)
    const memory = read.memory as Buffer
    if (filled === memory.length) return memory
    // A small chunk that its consumer keeps must not keep a large buffer alive.
    return filled < memory.length / 2 ? Buffer.from(memory.subarray(0, filled)) : memory.subarray(0, filled)
  }

  /**
   * Direct reads fill the engine's buffers in any case: on its huge pages the disk does not split them, which is worth
   * more than the copy costs.
   */
  private _copyOf(buffer: EngineBuffer, offset: number, bytes: number): Buffer {
    const chunk = allocateChunk(bytes)
    buffer.copyTo(chunk, offset, bytes)
    this._buffers.release(buffer)
    return chunk
  }

  /** Reads made ahead of the end are of no use; those in flight are over when they complete. */
  private _end(error: Error | null): null {
    this.error = error
    this.ended = error === null
    for (const read of this._reads.splice(0)) {
      if (read.done) {
        this._unhold(read)
        this._discard(read)
      } else {
        read.abandoned = true
        this.ring.cancel(read)
      }
    }
    return null
  }

  private _unhold(read: ChunkRead): void {
    if (read.held) this.ring.taken()
    read.held = false
  }

  private _discard(read: ChunkRead): void {
    if (read.buffer !== null) this._buffers.release(read.buffer)
  }

  /** Starts reads up to the limit. The one that is waited for may queue; others only where there is room. */
  private _fill(): void {
    while (!this._isOver && this._left > 0 && this._mayStart()) {
      const ahead = !this._waiting || this._reads.length > 0
      const read = this._nextRead()
      const wanted = read.size - read.skip
      // Counted before: who is told of the submission may close the window.
      this._inFlight++
      this._reads.push(read)
      if (!ahead) this.ring.start(read)
      else if (!this.ring.tryStart(read)) return this._takeBack(read)
      if (this._next !== currentPosition) this._next += wanted
      this._left -= wanted
    }
  }

  private _takeBack(read: ChunkRead): void {
    this._inFlight--
    this._reads.pop()
    this._discard(read)
  }

  private _mayStart(): boolean {
    if (this._reads.length === 0) return true
    if (this._sequential || this._next > this._sizeHint) return false
    // The look at whether the file ends here goes along with the last chunk.
    return this._reads.length < this._limit || this._next === this._sizeHint
  }

  private _nextRead(): ChunkRead {
    const { unit } = this
    const skip = this._next % unit // of `currentPosition` none: then the unit is 1
    const most = Math.min((this.leased || unit > 1 ? this._buffers.bytes : this._chunkSize) - skip, this._left)
    const known = this._sequential ? most : this._sizeHint - this._next
    const read = this._spares.pop() ?? new ChunkRead(this)
    read.reuse(this._next, Math.min(most, known > 0 ? known : unit > 1 ? unit - skip : probeBytes))
    read.flags = unit === 1 && this._pace.isBusy ? IOSQE_ASYNC : 0
    if (unit > 1 || this.leased && known > 0) read.buffer = this._buffers.acquire()
    else read.memory = allocateChunk(read.size)
    return read
  }

  /** A read came back from the ring. @internal */
  completed(read: ChunkRead, result: number): void {
    if (!read.abandoned && this._goesOn(read, result)) return
    this._inFlight--
    if (read.abandoned) {
      this._discard(read)
      return this._finishClose()
    }
    read.done = true
    if (this._waiting && read === this._reads[0]) {
      this._waiting = false
      if (performance.now() - this._waitingSince > slowRead + slowReadByte * read.size) this._grow()
      this.ring.afterBatch(this._readable)
    } else {
      // Read ahead of its consumer: it counts until it is taken, so that idle streams cannot fill the ring.
      read.held = true
      this.ring.held()
    }
  }

  /** Takes the result in. True if the read was started again for what is missing. */
  private _goesOn(read: ChunkRead, result: number): boolean {
    if (retried(this.ring, read, result)) return true
    if (result < 0) read.failure = read.error ?? errnoError(result, 'read')
    const filled = Math.min(read.offset + result, read.size)
    // At the end a direct read brings again what is before it in the last unit.
    if (result >= 0 && filled <= read.filled) read.ended = true
    if (result < 0 || read.ended) return false
    read.filled = filled
    if (this._sequential) this._acceptShort(read)
    else if (read.filled < read.size) {
      read.aim()
      this.ring.start(read)
      return true
    }
    // The file has grown since it was opened.
    if (read.place + read.skip >= this._sizeHint) this._sizeHint = Infinity
    return false
  }

  /** What a sequential read did not bring is still to be read. */
  private _acceptShort(read: ChunkRead): void {
    const missing = read.size - read.filled
    this._left += missing
    if (this._next !== currentPosition) this._next -= missing
  }

  /** @internal */
  shrink(share: number): boolean {
    if (this._limit <= share) return false
    this._limit = share
    return true
  }

  /** Cancels what is in flight and calls back when all of it is over: only then may the file be closed. */
  close(closed: () => void): void {
    if (this.error === null) this._end(null)
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
