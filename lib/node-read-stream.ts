/** UringReadStream: a stream.Readable over the window of reads, in place of fs.ReadStream. */
import { AsyncResource } from 'node:async_hooks'
import { ReadStream } from 'node:fs'
import { addAbortSignal, finished, Readable } from 'node:stream'
import type { Lease } from './buffers.js'
import { leaseOf } from './buffers.js'
import { LentChunks } from './lent-chunks.js'
import { errorOrDestroy, passFor, readableState } from './node-stream-state.js'
import { UringWriteStream } from './node-write-stream.js'
import type { ReadStreamOptions } from './node-stream-options.js'
import { validateReadOptions } from './node-stream-options.js'
import { chunkSizeDefault, chunkSizeLeased, chunkSizeOf, depthOf, streamOptions } from './options.js'
import { PullIterator } from './pull-iterator.js'
import { ReadAhead } from './read-ahead.js'
import type { PathLike } from './path.js'
import { StreamFile } from './stream-file.js'

/**
 * Reads a file in order. A drop-in for fs.ReadStream: the same options, properties, events and errors.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments; ERR_URING_UNAVAILABLE
 * with `engine: 'uring'` where the kernel refuses
 */
export class UringReadStream extends Readable {
  /** Null until the file is open, and after it was closed. */
  fd: number | null
  /** As given; undefined with a descriptor. */
  readonly path: string | Buffer
  readonly flags: string | number
  readonly mode: string | number
  readonly start: number | undefined
  readonly end: number
  /** Bytes handed to the stream so far. */
  bytesRead = 0
  private readonly _file: StreamFile
  private readonly _chunkSize: number
  /** The chunk size is the caller's choice. */
  private readonly _chosenSize: boolean
  private readonly _readAhead: number
  private _window: ReadAhead | null = null
  /** Base class or iterator wait for a chunk. */
  private _wanted = false
  /** `read` is about to take the lease in Readable's buffer. */
  private _takesBuffer = false
  /** What is taken out of Readable's buffer goes back into it: nobody gets it. */
  private _copiesBuffer = false
  private _iterator: PullIterator | null = null
  private _failed = false
  private _isDirect = false
  private _leased: boolean
  /** Leased by ourselves, for a pipe into a stream that takes leases. */
  private _handsOver = false
  private readonly _lent = new LentChunks()
  private readonly _async = new AsyncResource('URINGREADSTREAM')

  constructor(path: PathLike | null | undefined, options?: ReadStreamOptions | BufferEncoding | null) {
    const given = streamOptions<ReadStreamOptions>(options)
    const file = new StreamFile(path, given, ['read'])
    validateReadOptions(given)
    const chunkSize = chunkSizeOf(given, given.buffers === 'leased' ? chunkSizeLeased : chunkSizeDefault)
    const readAhead = depthOf(given.readAhead, 'options.readAhead', given.direct)
    // No spread: Node 20's V8 takes half a microsecond for each name behind one.
    super(Object.assign({}, given as object, {
      signal: undefined,
      autoDestroy: given.autoClose ?? true,
      highWaterMark: given.highWaterMark ?? chunkSize
    }))
    this._file = file
    this._chunkSize = chunkSize
    this._chosenSize = given.chunkSize !== undefined || given.highWaterMark !== undefined
    this._readAhead = readAhead
    this._leased = given.buffers === 'leased'
    this.path = file.path as string | Buffer
    this.fd = file.given
    this.flags = given.flags ?? 'r'
    this.mode = given.mode ?? 0o666
    this.start = given.start
    this.end = given.end ?? Infinity
    file.use(() => this.destroy())
    if (given.signal != null) addAbortSignal(given.signal, this)
  }

  /** Whether the file is closed at the end and after an error. */
  get autoClose(): boolean {
    return readableState(this).autoDestroy
  }

  set autoClose(value: boolean) {
    readableState(this).autoDestroy = value
  }

  /** True until the file is open. */
  get pending(): boolean {
    return this.fd === null
  }

  /** Whether it reads past the page cache; false until the file is open. */
  get direct(): boolean {
    return this._isDirect
  }

  /** @internal */
  override _construct(callback: (error?: Error | null) => void): void {
    if (this._file.neverOpens) return callback()
    const given = this.fd !== null
    this._file.open(this.flags, this.mode, error => this._async.runInAsyncScope(() => {
      if (error !== null) return callback(error)
      this._open()
      callback()
      if (!given) {
        this.emit('open', this.fd)
        this.emit('ready')
      }
      this._iterator?.pump() // it began to wait before there was a window
    }))
  }

  private _open(): void {
    this.fd = this._file.file!.fd
    this._isDirect = this._file.direct !== null
    this._window = new ReadAhead(this._file.forReading, {
      start: this.start,
      length: this.end - (this.start ?? 0) + 1,
      chunkSize: this._handsOver && !this._chosenSize ? chunkSizeLeased : this._chunkSize,
      readAhead: this._readAhead,
      leased: this._leased || this._handsOver,
      readable: () => this._async.runInAsyncScope(this._pump, this)
    })
  }

  /** @internal */
  override _read(): void {
    if (this._iterator !== null) return // it takes for itself
    this._wanted = true
    if (this._handsOver) process.nextTick(() => this._pump()) // what is handed over skips Readable's buffer
    else if (!this._paused && !this._takesBuffer) this._pump(false)
  }

  /**
   * Pushes what the window has, for as long as someone wants it.
   * @param direct false inside `_read`, where Readable keeps what is pushed until later
   */
  private _pump(direct = true): void {
    if (this._iterator !== null) return this._iterator.pump()
    while (this._wanted && !this.destroyed) {
      if (direct && this._paused) return // `_goOn`, `resume` or `read` goes on
      const chunk = this._take()
      if (chunk === null) return
      const lease = leaseOf(chunk)
      if (lease === undefined) this._wanted = this.push(chunk)
      else this._pushLeased(chunk, lease, direct)
      // Not more than one inside _read: it goes into Readable's buffer there, a chunk at a time.
      if (!direct) this._wanted = false
    }
  }

  /** While nobody takes leases they stay in the window: Readable's buffer is for chunks that may be kept. */
  private get _paused(): boolean {
    return (this._leased || this._handsOver) && this.readableFlowing === false && this.listenerCount('readable') === 0
  }

  /** The next chunk; null at the end and after an error, which are passed on, and when there is none yet. */
  private _take(): Buffer | null {
    if (this.destroyed) return null
    const window = this._window!
    const chunk = window.take()
    if (this.destroyed) { // by who was told of a read that was begun ahead
      if (chunk !== null) leaseOf(chunk)?.release()
      return null
    }
    if (chunk !== null) {
      this.bytesRead += chunk.length
      return chunk
    }
    if (window.error !== null) this._fail(window.error)
    else if (window.ended) this._finish()
    return null
  }

  /** Once: with autoClose false the stream stays open, as fs streams do. */
  private _fail(error: Error): void {
    if (this._failed) return
    this._failed = true
    errorOrDestroy(this, readableState(this), error)
  }

  private _finish(): void {
    this._wanted = false
    if (this.start === undefined) this._file.leaveBehind(this.bytesRead)
    // Inside `_read`, a consumer that has paused to work on the last chunk would be told; and who awaits that chunk must
    // have his turn before, as fs streams give it by looking for the end with another read.
    process.nextTick(() => queueMicrotask(() => {
      this.push(null)
      if (this._iterator !== null) super.read(0) // nobody else would ask for the end
    }))
  }

  private _pushLeased(chunk: Buffer, lease: Lease, direct: boolean): void {
    const now = direct && this.readableFlowing === true && this.readableLength === 0
    // Chunks of our own lending go to a pipe that takes leases, and to nobody else.
    if (!this._leased && !(now && this._handsOver && this.listenerCount('data') === 1)) {
      this._wanted = this.push(Buffer.from(chunk))
      return lease.release()
    }
    if (now) this._lent.deliver(lease)
    else this._lent.queue(lease)
    this._wanted = this.push(chunk)
    if (this.readableEncoding !== null) this._lent.releaseQueued() // decoded: nobody sees the memory
  }

  override resume(): this {
    super.resume()
    if (this._wanted) process.nextTick(() => this._pump())
    return this
  }

  /** @internal */
  override read(size?: number): any {
    if (size !== 0 && this._wanted && this._paused) this._pump(false)
    // Readable reads on before it takes: it would join the next chunk to this one, in memory of its own.
    this._takesBuffer = this._leased && size === undefined && this.readableLength > 0
    const chunk = super.read(size)
    if (this._takesBuffer && this._wanted) process.nextTick(() => this._pump())
    this._takesBuffer = false
    // What was in the buffer is the consumer's once the buffer is empty.
    if (chunk !== null && this.readableLength === 0) this._lent.deliverQueued()
    return chunk
  }

  /** Into a UringWriteStream, chunks are handed over without copying. */
  override pipe<T extends NodeJS.WritableStream>(destination: T, options?: { end?: boolean }): T {
    if (destination instanceof UringWriteStream) {
      this._handsOver = this.listenerCount('data') === 0
      this._chooseMemory()
      return super.pipe(destination, options)
    }
    // A queue in the destination must not hold chunks that will be detached.
    const wasLeased = this._leased
    this._handsOver = this._leased = false
    this._chooseMemory()
    super.pipe(destination, options)
    if (wasLeased) this._ownBuffer() // behind that: a stream that flows may give back to its listeners at once
    return destination
  }

  /** Copies what is in Readable's buffer: a lease, or what a consumer has given back of one. */
  private _ownBuffer(): void {
    if (this.readableLength > 0 && this.readableEncoding === null) {
      const chunks: Buffer[] = []
      this._takesBuffer = this._copiesBuffer = true
      for (let chunk; this.readableLength > 0 && (chunk = super.read()) !== null;) chunks.push(chunk)
      this._takesBuffer = this._copiesBuffer = false
      this.unshift(Buffer.concat(chunks))
      if (this._wanted) process.nextTick(() => this._pump())
    }
    this._lent.releaseQueued()
  }

  /** @internal */
  override emit(event: string | symbol, ...args: any[]): boolean {
    return !(event === 'data' && this._copiesBuffer) && super.emit(event, ...args)
  }

  override unpipe(destination?: NodeJS.WritableStream): this {
    this._handsOver = false
    this._chooseMemory()
    super.unpipe(destination)
    this._goOn()
    return this
  }

  /** What was kept in the window while nobody took leases goes into Readable's buffer, if it may now. */
  private _goOn(): void {
    if (this._wanted && !this._paused) process.nextTick(() => this._pump(false))
  }

  private _chooseMemory(): void {
    if (this._window !== null) this._window.leased = this._leased || this._handsOver
  }

  /**
   * Iterates over the chunks without going through Readable's buffer, which costs four times as much.
   * Where something is in that buffer, or wants to be, it is Readable's own iterator.
   */
  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<any> {
    return new PullIterator({
      stream: this,
      begin: iterator => this._beginPull(iterator),
      take: () => this._next()
    })
  }

  private _beginPull(iterator: PullIterator): NodeJS.AsyncIterator<any> | null {
    const untouched = this.readableFlowing === null && this.readableLength === 0 && this.readableEncoding === null
    if (!untouched || this._iterator !== null || this.destroyed) return super[Symbol.asyncIterator]()
    this._iterator = iterator
    return null
  }

  private _next(): Buffer | null {
    if (this.readableLength > 0) return super.read() // given back by unshift
    if (this._window === null) return null // not open yet
    const chunk = this._take()
    if (chunk === null) return null
    this._lent.deliver(leaseOf(chunk))
    readableState(this).dataEmitted = true
    if (this.listenerCount('data') > 0) this.emit('data', chunk)
    return chunk
  }

  /** Closes the file, after what is in flight. */
  close(callback?: (error?: NodeJS.ErrnoException | null) => void): void {
    if (typeof callback === 'function') finished(this, callback)
    this.destroy()
  }

  /** All arguments are passed on: the base class takes a callback, too, of which the types know nothing. */
  override destroy(...args: [error?: Error]): this {
    this._file.leave() // the base class waits until it is open: a ring that closes meanwhile waits as well
    return super.destroy(...args)
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this._lent.release()
    const done = (closeError: Error | null): void => {
      this._async.runInAsyncScope(callback, null, closeError ?? error)
    }
    const close = (): void => {
      this.fd = null
      this._file.close(done)
    }
    if (this._window === null) close()
    else this._window.close(close)
  }
}

passFor(UringReadStream, ReadStream)

// A listener of 'readable' takes. Not by `override`, which would hide the overloads that the types have.
for (const name of ['on', 'addListener'] as const) {
  UringReadStream.prototype[name] = function (this: UringReadStream, event: string, listener: (...args: any[]) => void) {
    Readable.prototype.on.call(this, event, listener)
    if (event === 'readable') this['_goOn']()
    return this
  }
}

/** Opens a file to read, like fs.createReadStream. */
export function createUringReadStream(
  path: PathLike | null | undefined, options?: ReadStreamOptions | BufferEncoding | null
): UringReadStream {
  return new UringReadStream(path, options)
}
