/** UringReadStream of streamx: its Readable over the window of reads. */
import type { ReadableEvents } from 'streamx'
import { Readable } from 'streamx'
import { destroyError } from './abort.js'
import { leaseOf } from './buffers.js'
import type { SourceController } from './file-source.js'
import { FileSource } from './file-source.js'
import { LentChunks } from './lent-chunks.js'
import type { PathLike } from './path.js'
import type { StreamxReadOptions } from './streamx-options.js'
import { withChunkSize } from './streamx-options.js'
import { UringWriteStream } from './streamx-write-stream.js'

type Callback = (error: Error | null) => void

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
  private readonly _lent = new LentChunks()
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
      error: reason => this.destroy(destroyError(reason, options.signal))
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
      if (lease !== undefined) this._lent.queue(lease)
      this.push(chunk)
    }
  }

  private _deliver(chunk: unknown): void {
    this._lent.deliver(chunk instanceof Uint8Array ? leaseOf(chunk) : undefined)
  }

  override read(): any {
    this._comeBack()
    const chunk = super.read()
    if (chunk === null) return null
    this._deliver(chunk)
    this._looksAtLease = this._lent.areOut
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
