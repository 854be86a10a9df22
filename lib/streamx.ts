/** The same two streams over streamx: `import { createUringReadStream } from 'uring-streams/streamx'`. */
import type { ReadableEvents } from 'streamx'
import { Readable, Writable } from 'streamx'
import type { Lease } from './buffers.js'
import { leaseOf } from './buffers.js'
import { abortError } from './errors.js'
import type { SinkController } from './file-sink.js'
import { FileSink } from './file-sink.js'
import type { SourceController } from './file-source.js'
import { FileSource } from './file-source.js'
import type { PathLike } from './path.js'
import type { StreamxReadOptions } from './streamx-options.js'
import { withChunkSize } from './streamx-options.js'
import type { WritableStreamOptions } from './web-stream-options.js'

export type { StreamxReadOptions, WritableStreamOptions }

type Callback = (error: Error | null) => void

/** The error that a stream is destroyed with: an aborted signal's reason may be anything. */
function errorOf(reason: unknown, signal: AbortSignal | undefined): Error {
  return signal?.aborted && reason === signal.reason ? abortError(reason) : reason as Error
}

/** Leases that a stream has given out. */
class Lent {
  /** In streamx's queue, */
  queued: Lease | undefined
  /** and the one that the consumer has. */
  current: Lease | undefined

  releaseQueued(): void {
    this.queued?.release()
    this.queued = undefined
  }

  readonly release = (): void => {
    this.releaseQueued()
    this.current?.release()
    this.current = undefined
  }
}

/** Chunks are Buffers, or with `setEncoding` strings. As those of node:stream they need no cast; streamx's are `unknown`. */
interface ReadEvents extends ReadableEvents { data: [chunk: any] }
export interface UringReadStream {
  [Symbol.asyncIterator](): AsyncIterator<any>
}

/**
 * Reads a file as a streamx Readable. It keeps nothing in streamx's own queue beyond one chunk: the window is the
 * queue. `destroy` cancels what is in flight; 'close' comes when the file is closed.
 */
export class UringReadStream extends Readable<ReadEvents> {
  private readonly _source: FileSource
  /** What the source knows of this stream, weakly. */
  private readonly _controller: SourceController
  private _leased: boolean
  private readonly _lent = new Lent()
  /** The consumer took that by `read` and has not come back for more: the end, which detaches it, must wait. */
  private _looksAtLease = false
  private _waitingEnd: Callback | null = null
  /** What is taken out of the queue goes back into it: nobody gets it. */
  private _copies = false

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments */
  constructor(path: PathLike | null | undefined, options: StreamxReadOptions = {}) {
    const source = new FileSource(path, withChunkSize(options))
    super({ highWaterMark: 1 }) // one chunk; with 0 streamx does not begin to pipe
    this._source = source
    source.forsaken = this._lent.release
    this._leased = options.buffers === 'leased'
    this._controller = {
      byobRequest: null,
      desiredSize: 0,
      enqueue: () => {},
      close: () => {},
      error: reason => this.destroy(errorOf(reason, options.signal))
    }
    source.start(this._controller).catch(() => {}) // `_open` tells
  }

  /** As given; undefined with a descriptor. */
  get path(): string | Buffer | undefined {
    return this._source.file.path
  }

  /** Whether it reads past the page cache; false until it has begun. */
  get direct(): boolean {
    return this._source.direct
  }

  /** Bytes given to the stream so far. */
  get bytesRead(): number {
    return this._source.bytesRead
  }

  /** @internal */
  override _open(callback: Callback): void {
    void this._source.opening.then(callback)
  }

  /** @internal */
  override _read(callback: Callback): void {
    // streamx asks for the next when its queue is empty: what nobody was seen to take went into a pipe.
    this._lent.releaseQueued()
    const chunk = this._source.take(this._leased)
    if (chunk === null) return this._wait(callback)
    this._push(chunk)
    callback(null)
  }

  /** By a callback: promises took a tenth of a hot read's time. */
  private _wait(callback: Callback): void {
    if (!this._source.whenReadable(() => this._read(callback))) void this._end(callback)
  }

  private async _end(callback: Callback): Promise<void> {
    await this._source.finish()
    if (!this._looksAtLease || this.destroying) return this._finish(callback)
    this._waitingEnd = callback
    this._call()
  }

  /** A consumer who comes for each chunk when he is told comes for the end as well. */
  private _call(): void {
    if (this._waitingEnd !== null) super.emit('readable')
  }

  private _finish(callback: Callback): void {
    if (!this.destroying) this.push(null)
    callback(null)
  }

  private _push(chunk: Buffer): void {
    const lease = leaseOf(chunk)
    if (lease !== undefined && !this._leased) {
      this.push(Buffer.from(chunk))
      lease.release()
    } else {
      this._lent.queued = lease
      this.push(chunk)
    }
  }

  /** The consumer gets this chunk, so the one before is over. */
  private _deliver(chunk: unknown): void {
    const lease = chunk instanceof Uint8Array ? leaseOf(chunk) : undefined
    if (lease !== undefined && lease === this._lent.current) return
    this._lent.current?.release()
    this._lent.current = lease
    if (lease === this._lent.queued) this._lent.queued = undefined
  }

  override read(): any {
    this._comeBack()
    const chunk = super.read()
    if (chunk === null) return null
    this._deliver(chunk)
    this._looksAtLease = this._lent.current !== undefined
    return chunk
  }

  /** The consumer is done with the chunk that it took by `read`. */
  private _comeBack(): void {
    this._looksAtLease = false
    const callback = this._waitingEnd
    this._waitingEnd = null
    if (callback !== null) this._finish(callback)
  }

  override resume(): this {
    this._comeBack()
    return super.resume()
  }

  override emit(name: any, ...values: any): boolean {
    if (name === 'data' && this._copies) return false
    if (name === 'data') this._deliver(values[0])
    // A listener of 'data' lets streamx read on, without `resume`.
    if (name === 'data' || (name === 'newListener' && values[0] === 'data')) this._comeBack()
    if (name === 'newListener' && values[0] === 'readable') process.nextTick(() => this._call())
    return super.emit(name, ...values)
  }

  /** A queue in the destination must not hold chunks that will be detached, unless it is our own. */
  override pipe<S>(destination: S, callback?: Callback): S {
    if (!(destination instanceof UringWriteStream)) this._own()
    this._comeBack()
    return super.pipe(destination, callback)
  }

  /** From here on chunks are not leased, nor those that are in the queue already. */
  private _own(): void {
    const wasLeased = this._leased
    this._leased = false
    if (!wasLeased) return
    const chunks: unknown[] = []
    this._copies = true
    for (let chunk: unknown; (chunk = super.read()) !== null;) chunks.unshift(chunk instanceof Uint8Array ? Buffer.from(chunk) : chunk)
    for (const chunk of chunks) this.unshift(chunk)
    this._copies = false
    this._lent.releaseQueued()
  }

  /** @internal */
  override _predestroy(): void {
    this._comeBack()
    this._source.cancel().catch(() => {}) // `_destroy` tells
  }

  /** @internal */
  override _destroy(callback: Callback): void {
    this._lent.release()
    this._source.cancel().then(() => callback(null), callback)
  }
}

/**
 * Writes a file as a streamx Writable. Chunks are copied into the window, so that a chunk is its owner's again when
 * streamx has taken it ('drain', `Writable.drained`); leases are handed over.
 */
export class UringWriteStream extends Writable {
  private readonly _sink: FileSink
  /** What the sink knows of this stream, weakly. */
  private readonly _controller: SinkController
  private readonly _aborter = new AbortController()
  /** Of chunks in streamx's queue. */
  private readonly _queued: Lease[] = []

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments */
  constructor(path: PathLike | null | undefined, options: WritableStreamOptions = {}) {
    const sink = new FileSink(path, options)
    super()
    this._sink = sink
    this._controller = { signal: this._aborter.signal, error: reason => this.destroy(errorOf(reason, options.signal)) }
    sink.start(this._controller).catch(() => {}) // `_open` tells
  }

  /** As given; undefined with a descriptor. */
  get path(): string | Buffer | undefined {
    return this._sink.file.path
  }

  /** Whether it writes past the page cache; false until the file is open. */
  get direct(): boolean {
    return this._sink.direct
  }

  /** Where what is known to be on the disk ends: bytes from the beginning of the file. */
  get flushedPosition(): number {
    return this._sink.flushedPosition
  }

  /** Bytes in the file, without a gap. */
  get bytesWritten(): number {
    return this._sink.bytesWritten
  }

  override write(chunk: unknown): boolean {
    const lease = chunk instanceof Uint8Array ? leaseOf(chunk) : undefined
    if (lease !== undefined && !this.destroying) {
      lease.retain()
      this._queued.push(lease)
    }
    return super.write(chunk)
  }

  /** @internal */
  override _open(callback: Callback): void {
    void this._sink.opening.then(callback)
  }

  /** @internal */
  override _write(chunk: unknown, callback: Callback): void {
    const lease = chunk instanceof Uint8Array ? leaseOf(chunk) : undefined
    const written = lease === undefined
      ? this._sink.write(chunk)
      : this._sink.writeLease(lease, () => void this._queued.shift(), chunk as Buffer)
    written.then(() => callback(null), callback)
  }

  /** @internal */
  override _final(callback: Callback): void {
    this._sink.close().then(() => callback(null), callback)
  }

  /** @internal */
  override _predestroy(): void {
    this._aborter.abort()
  }

  /** @internal */
  override _destroy(callback: Callback): void {
    for (const lease of this._queued.splice(0)) lease.release()
    this._sink.abort().then(() => callback(null), callback)
  }
}

/** Opens a file to read it as a streamx Readable. */
export function createUringReadStream(path: PathLike, options?: StreamxReadOptions): UringReadStream {
  return new UringReadStream(path, options)
}

/** Opens a file to write it as a streamx Writable. */
export function createUringWriteStream(path: PathLike, options?: WritableStreamOptions): UringWriteStream {
  return new UringWriteStream(path, options)
}
