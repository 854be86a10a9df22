/** The window of writes under every writable. */
import { constants } from 'node:os'
import { Lease, Loan, WindowBuffers } from './buffers.js'
import type { FileFacts, OpenFile } from './engine.js'
import { currentPosition, Opcode, Request } from './engine.js'
import { errnoError, invalidState } from './errors.js'
import { retried } from './retry.js'
import type { Ring, Window } from './ring.js'

/** Smaller chunks are copied together; larger ones are written from where they are. */
const gatherMax = 16 * 1024
/** Larger chunks are written in pieces of this size, so that several are in flight. */
const pieceMax = 2 * 1024 * 1024

export interface WriteBehindOptions {
  ring: Ring
  file: OpenFile
  facts: FileFacts
  /** The first byte; undefined: the file's own position. */
  start?: number
  /** Bytes of one gathered write. */
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
  readonly #offset: number

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
    this.#offset = offset
    this.aim(0)
  }

  /** Points it at what is still missing. True when nothing is. */
  aim(moved: number): boolean {
    this.moved += moved
    this.offset = this.#offset + this.moved
    this.length = this.size - this.moved
    this.position = this.place === currentPosition ? currentPosition : this.place + this.moved
    return this.length === 0
  }

  /** The caller gave the memory away while it was being written: what the kernel found there is unknown. */
  get detached(): boolean {
    return this.memory !== null && this.memory.byteLength < this.#offset + this.size
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
  #accepted = 0
  readonly #start: number
  #next: number
  #limit: number
  #inFlight = 0
  #failure: Error | null = null
  #closing = false
  #telling = false
  #closed: (() => void) | null = null
  /** Everything not yet written, in order; the first `#started` of them were given to the ring. */
  readonly #writes: ChunkWrite[] = []
  #started = 0
  #gather: Loan | null = null
  #gathered = 0
  #flushScheduled = false
  readonly #buffers: WindowBuffers
  readonly #sequential: boolean
  readonly #chunkSize: number
  readonly #writeBehind: number
  readonly #progressed: () => void

  constructor({ ring, file, facts, start, chunkSize, writeBehind, progressed }: WriteBehindOptions) {
    this.ring = ring
    this.file = file
    this.#chunkSize = chunkSize
    this.#progressed = progressed
    // Where the kernel chooses the position, two writes in flight could change places.
    const sequential = this.#sequential = facts.append || facts.position < 0 || !facts.regular
    this.#writeBehind = this.#limit = sequential ? 1 : writeBehind
    this.#next = sequential && (facts.append || start === undefined) ? currentPosition : start ?? facts.position
    this.#start = Math.max(this.#next, 0)
    this.#buffers = new WindowBuffers(ring.engine, chunkSize, 2)
    ring.addWindow(this)
  }

  /** Where the part without a gap ends. */
  get position(): number {
    return this.#start + this.written
  }

  /** Bytes accepted. */
  get accepted(): number {
    return this.#accepted
  }

  /** Bytes accepted and not yet written. */
  get pendingBytes(): number {
    return this.#accepted - this.written
  }

  /** Operations accepted and not yet written. */
  get pendingWrites(): number {
    return this.#writes.length
  }

  /** Whether another chunk would be started at once. */
  get hasRoom(): boolean {
    return this.#started === this.#writes.length && this.#inFlight < this.#limit
  }

  /** Whether a chunk of so many bytes would be started at once, or gathered. */
  hasRoomFor(bytes: number): boolean {
    return bytes > 0 && (this.hasRoom || this.#gathers(bytes))
  }

  #gathers(bytes: number): boolean {
    return this.#gather !== null && bytes < gatherMax && this.#gathered + bytes <= this.#chunkSize
  }

  /** Gathers a short string in UTF-8, if there is room. */
  acceptString(text: string): boolean {
    const bytesMax = text.length * 3
    if (bytesMax >= Math.min(gatherMax, this.#chunkSize) || !this.hasRoomFor(bytesMax)) return false
    const bytes = this.#gatherFor(bytesMax).utf8Write(text, this.#gathered)
    this.#accepted += bytes
    this.#gathered += bytes
    this.#flushLater()
    return true
  }

  /** Takes a chunk to write behind those before it; of a leased chunk, one reference to its lease. */
  accept(chunk: Uint8Array, lease: Lease | undefined): void {
    this.#accepted += chunk.length
    if (lease !== undefined) {
      this.#flushGather()
      this.leases++
      const here = lease.buffer.engine === this.ring.engine
      if (here) this.#push(lease, null, chunk.byteOffset - lease.chunk.byteOffset, chunk.length)
      else this.#push(lease, chunk, 0, chunk.length)
    } else if (chunk.length === 0) {
      // Nothing to write, and nobody to tell but those who wait.
    } else if (chunk.length < Math.min(gatherMax, this.#chunkSize)) {
      this.#gatherIn(chunk)
    } else {
      this.#flushGather()
      this.callersBytes += chunk.length
      for (let offset = 0; offset < chunk.length; offset += pieceMax) {
        this.#push(null, chunk, offset, Math.min(pieceMax, chunk.length - offset))
      }
    }
    this.#fill()
  }

  #gatherIn(chunk: Uint8Array): void {
    this.#gatherFor(chunk.length).set(chunk, this.#gathered)
    this.#gathered += chunk.length
    this.#flushLater()
  }

  /** Memory with room for so many bytes after those gathered. */
  #gatherFor(bytes: number): GatherChunk {
    if (this.#gathered + bytes > this.#chunkSize) this.#flushGather()
    this.#gather ??= new Loan(this.#buffers.acquire(), this.#chunkSize, this.#buffers.release)
    return this.#gather.chunk as GatherChunk
  }

  #flushLater(): void {
    if (this.#inFlight > 0 || this.#flushScheduled) return // a completion will flush it
    this.#flushScheduled = true
    process.nextTick(this.#flushSoon)
  }

  readonly #flushSoon = (): void => {
    this.#flushScheduled = false
    if (this.#inFlight === 0) this.flush()
  }

  /** Starts writing what was gathered. */
  flush(): void {
    this.#flushGather()
    this.#fill()
  }

  #flushGather(): void {
    if (this.#gather === null) return
    const [loan, size] = [this.#gather, this.#gathered]
    this.#gather = null
    this.#gathered = 0
    this.#push(loan, null, 0, size)
  }

  #push(loan: Loan | null, chunk: Uint8Array | null, offset: number, size: number): void {
    this.#writes.push(new ChunkWrite(this, this.#next, loan, chunk, offset, size))
    if (this.#next !== currentPosition) this.#next += size
  }

  #fill(): void {
    if (this.#failure !== null || this.#closing) return
    while (this.#started < this.#writes.length && this.#inFlight < this.#limit) {
      const write = this.#writes[this.#started]
      // One is always due; more only where the ring has room to spare.
      if (this.#inFlight === 0) this.ring.start(write)
      else if (!this.ring.tryStart(write)) return
      this.#inFlight++
      this.#started++
    }
  }

  /** A write came back from the ring. @internal */
  completed(write: ChunkWrite, result: number): void {
    if (this.#goesOn(write, result)) return
    this.#inFlight--
    this.#release(write)
    this.#advance()
    if (this.#closing) return this.#finishClose()
    if (!this.ring.pressure) this.#limit = Math.min(this.#limit * 2, this.#writeBehind)
    if (this.#inFlight === 0) this.#flushGather()
    this.#fill()
    if (this.#inFlight === 0 && this.#failure !== null) this.#end(this.#failure)
    if (this.#telling) return
    this.#telling = true
    this.ring.afterBatch(this.#tell)
  }

  readonly #tell = (): void => {
    this.#telling = false
    if (!this.#closing) this.#progressed()
  }

  /** Takes the result in. True if the write was started again for what is missing. */
  #goesOn(write: ChunkWrite, result: number): boolean {
    const stopped = this.#closing || this.#failure !== null
    if (!stopped && retried(this.ring, write, result)) return true
    if (write.detached) this.#failure ??= invalidState('a chunk was detached while it was being written')
    // Nothing written and no error: what a disk that cannot go on answers.
    if (result <= 0) this.#failure ??= write.error ?? errnoError(result || -constants.errno.EIO, 'write')
    if (result <= 0) return false
    write.done = write.aim(result)
    if (write.done || stopped) return false
    this.ring.start(write)
    return true
  }

  /** Nothing more will be written. What the first incomplete write has brought is in the file as well. */
  #end(error: Error): void {
    if (this.error === null && this.#writes.length > 0) this.written += this.#writes[0].moved
    this.error = error
  }

  /** Counts what is written without a gap. */
  #advance(): void {
    let first = 0
    while (first < this.#writes.length && this.#writes[first].done) this.written += this.#writes[first++].size
    this.#writes.splice(0, first)
    this.#started -= first
  }

  #releaseLoan(loan: Loan): void {
    if (loan instanceof Lease) this.leases--
    loan.release()
  }

  #release(write: ChunkWrite): void {
    if (write.loan !== null) this.#releaseLoan(write.loan)
    else this.callersBytes -= write.size
  }

  /** @internal */
  shrink(share: number): boolean {
    if (this.#limit <= share) return false
    this.#limit = share
    return true
  }

  /**
   * Drops what is not in flight, waits for what is, and calls back when all of it is over: only then may
   * the file be closed.
   */
  close(closed: () => void): void {
    this.#closing = true
    for (const write of this.#writes.splice(this.#started)) this.#release(write)
    // A write cancelled between others that happen would leave a hole; those to a regular file end soon.
    if (this.#sequential) for (const write of [...this.#writes]) if (!write.done) this.ring.cancel(write)
    this.#gather?.release()
    this.#gather = null
    this.#closed = closed
    this.#finishClose()
  }

  #finishClose(): void {
    if (this.#closed === null || this.#inFlight > 0) return
    this.#buffers.close()
    this.ring.removeWindow(this)
    this.#closed()
  }
}
