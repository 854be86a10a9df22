/** The ordered window of reads under every readable. */
import { Lease, WindowBuffers } from './buffers.js'
import type { FileFacts, OpenFile } from './engine.js'
import { currentPosition, IOSQE_ASYNC, Opcode, Request } from './engine.js'
import { errnoError } from './errors.js'
import { retried } from './retry.js'
import type { Ring, Window } from './ring.js'

/** Bytes to ask for where the file ended when it was opened: enough to see that it ends. */
const probeBytes = 1024

/**
 * A consumer that takes longer than this for a byte (ns) keeps its thread busy: a worker of the kernel's copies
 * from the page cache meanwhile. Hashing takes 0.5; a cached read, 0.04. With sha256, on 2 cores: 1.2x as fast.
 */
const busyConsumer = 0.15

export interface ReadAheadOptions {
  ring: Ring
  file: OpenFile
  facts: FileFacts
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

/** One chunk's read: a place in the file, and the memory it fills. */
class ChunkRead extends Request {
  filled = 0
  done = false
  ended = false
  failure: Error | null = null
  /** Counted by the ring as completed and not yet taken. */
  held = false
  /** Nobody wants its bytes any more. */
  abandoned = false

  place = 0
  size = 0

  constructor(readonly window: ReadAhead) {
    super()
    this.opcode = Opcode.read
    this.file = window.file
  }

  /** Makes it ready for another chunk. */
  reuse(place: number, size: number): void {
    this.place = place
    this.size = size
    this.filled = 0
    this.done = this.ended = false
    this.buffer = this.memory = null
    this.aim()
  }

  /** Points it at what is still missing. */
  aim(): void {
    this.offset = this.filled
    this.length = this.size - this.filled
    this.position = this.place === currentPosition ? currentPosition : this.place + this.filled
  }

  override completed(result: number): void {
    this.window.completed(this, result)
  }
}

/**
 * Keeps reads in flight at rising positions and hands their chunks out in order. It begins with one and
 * grows to `readAhead` only while its consumer has to wait.
 */
export class ReadAhead implements Window {
  readonly ring: Ring
  readonly file: OpenFile
  /** Whether the next reads fill the engine's buffers. */
  leased: boolean
  /** Set when everything was taken. */
  ended = false
  /** The first error, set once everything before it was taken. */
  error: Error | null = null
  readonly #reads: ChunkRead[] = []
  /** Reads that are over, to be used again. */
  readonly #spares: ChunkRead[] = []
  readonly #buffers: WindowBuffers
  readonly #readable: () => void
  readonly #chunkSize: number
  readonly #readAhead: number
  /** One read at a time, delivered as it comes: pipes, terminals, files that do not know their size. */
  readonly #sequential: boolean
  #limit = 1
  #next: number
  #left: number
  #sizeHint: number
  #waiting = false
  #takenAt = 0
  #takenBytes = 0
  #readFlags = 0
  #inFlight = 0
  #closed: (() => void) | null = null

  constructor({ ring, file, facts, start, length, chunkSize, readAhead, leased, readable }: ReadAheadOptions) {
    this.ring = ring
    this.file = file
    this.leased = leased
    this.#readable = readable
    this.#chunkSize = chunkSize
    this.#readAhead = readAhead
    this.#left = length
    this.#sizeHint = facts.size
    this.#sequential = facts.position < 0 || !facts.regular || facts.size === 0
    this.#next = start ?? (this.#sequential ? currentPosition : facts.position)
    const known = this.#sequential ? chunkSize : Math.max(facts.size - this.#next, 1)
    this.#buffers = new WindowBuffers(ring.engine, Math.min(chunkSize, known), readAhead + 1)
    ring.addWindow(this)
  }

  /**
   * The next chunk. Null when there is none yet (`readable` follows), at the end (`ended`), and after an
   * error (`error`).
   */
  take(): Buffer | null {
    if (this.ended || this.error !== null) return null
    const read = this.#reads[0]
    if (read === undefined && this.#left <= 0) return this.#end(null)
    if (read === undefined || !read.done) return this.#wait()
    this.#reads.shift()
    this.#unhold(read)
    if (read.failure !== null || read.filled === 0) {
      this.#discard(read)
      return this.#end(read.failure)
    }
    this.#watchConsumer(read.filled)
    const chunk = this.#chunkOf(read)
    this.#spares.push(read)
    if (read.ended) this.#end(null)
    else if (this.#limit > 1) this.#fill()
    return chunk
  }

  /** Compares the time between two chunks that were there already with the size of the first. */
  #watchConsumer(bytes: number): void {
    const now = performance.now()
    if (this.#takenAt !== 0) {
      const perByte = (now - this.#takenAt) * 1e6 / this.#takenBytes
      this.#readFlags = perByte > busyConsumer ? IOSQE_ASYNC : 0
    }
    this.#takenAt = now
    this.#takenBytes = bytes
  }

  #wait(): null {
    this.#waiting = true
    this.#takenAt = 0
    this.#readFlags = 0 // it is faster than the reads after all
    if (this.#reads.length > 0 && !this.ring.pressure) this.#limit = Math.min(this.#limit * 2, this.#readAhead)
    this.#fill()
    return null
  }

  #chunkOf(read: ChunkRead): Buffer {
    const { buffer, filled } = read
    if (buffer !== null) return new Lease(buffer, filled, this.#buffers.release).chunk
    const memory = read.memory as Buffer
    if (filled === memory.length) return memory
    // A small chunk that its consumer keeps must not keep a large buffer alive.
    return filled < memory.length / 2 ? Buffer.from(memory.subarray(0, filled)) : memory.subarray(0, filled)
  }

  /** Reads made ahead of the end are of no use; those in flight are over when they complete. */
  #end(error: Error | null): null {
    this.error = error
    this.ended = error === null
    for (const read of this.#reads.splice(0)) {
      if (read.done) {
        this.#unhold(read)
        this.#discard(read)
      } else {
        read.abandoned = true
        this.ring.cancel(read)
      }
    }
    return null
  }

  #unhold(read: ChunkRead): void {
    if (read.held) this.ring.taken()
    read.held = false
  }

  #discard(read: ChunkRead): void {
    if (read.buffer !== null) this.#buffers.release(read.buffer)
  }

  /** Starts reads up to the limit. The first is due and may queue; others only where there is room. */
  #fill(): void {
    while (this.#left > 0 && this.#mayStart()) {
      const ahead = this.#reads.length > 0
      const read = this.#nextRead()
      if (ahead && !this.ring.tryStart(read)) return this.#discard(read)
      if (!ahead) this.ring.start(read)
      this.#inFlight++
      this.#reads.push(read)
      if (this.#next !== currentPosition) this.#next += read.size
      this.#left -= read.size
    }
  }

  #mayStart(): boolean {
    if (this.#reads.length === 0) return true
    if (this.#sequential || this.#next > this.#sizeHint) return false
    // The look at whether the file ends here goes along with the last chunk.
    return this.#reads.length < this.#limit || this.#next === this.#sizeHint
  }

  #nextRead(): ChunkRead {
    const size = Math.min(this.leased ? this.#buffers.bytes : this.#chunkSize, this.#left)
    const known = this.#sequential ? size : this.#sizeHint - this.#next
    const read = this.#spares.pop() ?? new ChunkRead(this)
    read.reuse(this.#next, Math.min(size, known > 0 ? known : probeBytes))
    read.flags = this.#readFlags
    if (this.leased && known > 0) read.buffer = this.#buffers.acquire()
    else read.memory = Buffer.allocUnsafeSlow(read.size)
    return read
  }

  /** A read came back from the ring. @internal */
  completed(read: ChunkRead, result: number): void {
    if (!read.abandoned && this.#goesOn(read, result)) return
    this.#inFlight--
    if (read.abandoned) {
      this.#discard(read)
      return this.#finishClose()
    }
    read.done = true
    if (this.#waiting && read === this.#reads[0]) {
      this.#waiting = false
      this.ring.afterBatch(this.#readable)
    } else {
      // Read ahead of its consumer: it counts until it is taken, so that idle streams cannot fill the ring.
      read.held = true
      this.ring.held()
    }
  }

  /** Takes the result in. True if the read was started again for what is missing. */
  #goesOn(read: ChunkRead, result: number): boolean {
    if (retried(this.ring, read, result)) return true
    if (result < 0) read.failure = read.error ?? errnoError(result, 'read')
    if (result === 0) read.ended = true
    if (result <= 0) return false
    read.filled += result
    if (this.#sequential) this.#acceptShort(read)
    else if (read.filled < read.size) {
      read.aim()
      this.ring.start(read)
      return true
    }
    // The file has grown since it was opened.
    if (read.place >= this.#sizeHint) this.#sizeHint = Infinity
    return false
  }

  /** What a sequential read did not bring is still to be read. */
  #acceptShort(read: ChunkRead): void {
    const missing = read.size - read.filled
    this.#left += missing
    if (this.#next !== currentPosition) this.#next -= missing
  }

  /** @internal */
  shrink(share: number): boolean {
    if (this.#limit <= share) return false
    this.#limit = share
    return true
  }

  /** Cancels what is in flight and calls back when all of it is over: only then may the file be closed. */
  close(closed: () => void): void {
    if (this.error === null) this.#end(null)
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
