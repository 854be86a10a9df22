/** UringWriteStream: a stream.Writable over the window of writes, in place of fs.WriteStream. */
import { AsyncResource } from 'node:async_hooks'
import { WriteStream } from 'node:fs'
import { addAbortSignal, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Lease } from './buffers.js'
import { leaseOf } from './buffers.js'
import { streamDestroyed } from './errors.js'
import { errorOrDestroy, passFor, writableState } from './node-stream-state.js'
import type { WriteStreamOptions } from './node-stream-options.js'
import { validateWriteOptions } from './node-stream-options.js'
import { chunkSizeWritten, chunkSizeOf, depthOf, streamOptions } from './options.js'
import type { PathLike } from './path.js'
import { createWriteBehind } from './direct-write-behind.js'
import type { WriteBehind } from './write-behind.js'
import type { WriteCallback } from './write-callbacks.js'
import { WriteCallbacks } from './write-callbacks.js'
import { WritePressure } from './write-pressure.js'
import { WrittenFile } from './written-file.js'

/** What Writable itself holds, without the window. */
const lengthInBuffer = Object.getOwnPropertyDescriptor(Writable.prototype, 'writableLength')!.get! as () => number

/**
 * Writes a file in order. A drop-in for fs.WriteStream: the same options, properties, events and errors.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments; ERR_URING_UNAVAILABLE
 * with `engine: 'uring'` where the kernel refuses
 */
export class UringWriteStream extends Writable {
  private _fd: number | null
  /** As given; undefined with a descriptor. */
  readonly path: string | Buffer
  readonly flags: string | number
  readonly mode: string | number
  readonly start: number | undefined
  readonly flush: boolean
  /** Bytes in the file, without a gap. */
  bytesWritten = 0
  private readonly _file: WrittenFile
  private readonly _chunkSize: number
  private readonly _writeBehind: number
  private _window: WriteBehind | null = null
  private readonly _callbacks = new WriteCallbacks()
  /** The base class waits for everything to be written. */
  private _finalCallback: WriteCallback | null = null
  /** Leases of chunks that are in Writable's buffer, in order. */
  private _buffered: Lease[] = []
  /** The base class's callback for a chunk, kept until the window has room for the next. */
  private _accepted: ((error?: Error | null) => void) | null = null
  /** 'drain' is owed. */
  private _needDrain = false
  private _pressure: WritePressure | null = null
  private _defaultEncoding: BufferEncoding = 'utf8'
  private _failed = false
  private _isDirect = false
  private readonly _async = new AsyncResource('URINGWRITESTREAM')

  constructor(path: PathLike | null | undefined, options?: WriteStreamOptions | BufferEncoding | null) {
    const given = streamOptions<WriteStreamOptions>(options)
    const file = new WrittenFile(path, given)
    validateWriteOptions(given)
    const chunkSize = chunkSizeOf(given, chunkSizeWritten)
    const writeBehind = depthOf(given.writeBehind, 'options.writeBehind', given.direct)
    super(Object.assign({}, given as object, { // as in UringReadStream
      signal: undefined,
      decodeStrings: true, // only bytes can be written
      objectMode: false,
      autoDestroy: given.autoClose ?? true,
      highWaterMark: given.highWaterMark ?? chunkSize * writeBehind
    }))
    this._file = file
    this._chunkSize = chunkSize
    this._writeBehind = writeBehind
    this.path = file.path as string | Buffer
    this._fd = file.given
    this.flags = given.flags ?? 'w'
    this.mode = given.mode ?? 0o666
    this.start = given.start
    this.flush = given.flush ?? false
    this.setDefaultEncoding(given.encoding || given.defaultEncoding || 'utf8')
    file.use(() => this.close())
    if (given.signal != null) addAbortSignal(given.signal, this)
  }

  /** Whether the file is closed at the end and after an error. */
  get autoClose(): boolean {
    return writableState(this).autoDestroy
  }

  set autoClose(value: boolean) {
    writableState(this).autoDestroy = value
  }

  /** Null until the file is open, and after it was closed. */
  get fd(): number | null {
    if (this._fd !== null) this._window?.share() // who asks may write to it as well, or give it to a child
    return this._fd
  }

  /** True until the file is open. */
  get pending(): boolean {
    return this._fd === null
  }

  /** Whether it writes past the page cache; false until the file is open. */
  get direct(): boolean {
    return this._isDirect
  }

  /**
   * Where what is known to be on the disk ends: bytes from the beginning of the file. With `sync` it rises with the
   * writes; with `flush` and `atomic`, at the end.
   */
  get flushedPosition(): number {
    return this._file.flushedPosition(this._window)
  }

  /** Bytes accepted and not yet in the file. */
  declare readonly writableLength: number
  declare readonly writableNeedDrain: boolean

  // Getters in Node, but fields in its types, which a getter may not override: not in what consumers compile, either.
  static {
    const define = <T>(name: string, get: (this: UringWriteStream) => T): unknown =>
      Object.defineProperty(this.prototype, name, { get, configurable: true })
    define('writableLength', function () { return lengthInBuffer.call(this) + (this._window?.pendingBytes ?? 0) })
    define('writableNeedDrain', function () { return this._needDrain && !this.destroyed && !this.writableEnded })
  }

  /** @internal */
  override _construct(callback: (error?: Error | null) => void): void {
    if (this._file.neverOpens) return callback()
    const given = this._fd !== null
    this._file.open(this.flags, this.mode, error => this._async.runInAsyncScope(() => {
      if (error !== null) return callback(error)
      this._open()
      callback()
      if (given) return
      if (this.listenerCount('open') > 0) this._window!.share()
      this.emit('open', this._fd)
      this.emit('ready')
    }))
  }

  private _open(): void {
    this._fd = this._file.file!.fd
    this._isDirect = this._file.direct !== null
    this._window = createWriteBehind(this._file.forWriting, {
      start: this.start,
      chunkSize: this._chunkSize,
      writeBehind: this._writeBehind,
      progressed: () => this._async.runInAsyncScope(this._progressed, this)
    })
    this._pressure = new WritePressure(this._window, this.writableHighWaterMark, this._writeBehind)
  }

  /**
   * As Writable's. The callback is called when the chunk is in the file; until then its memory must not
   * change. After 'drain' all memory written before is free again.
   */
  override write(chunk: any, callback?: WriteCallback): boolean
  override write(chunk: any, encoding: BufferEncoding, callback?: WriteCallback): boolean
  override write(chunk: any, encoding?: BufferEncoding | WriteCallback, callback?: WriteCallback): boolean {
    const [charset, written] = typeof encoding === 'function' ? [undefined, encoding] : [encoding, callback]
    const given = typeof written === 'function' ? written : undefined
    const more = this._hasWayIn && this._take(chunk, charset, given) || this._queue(chunk, charset, given)
    if (more && !this._pressure?.full) return true
    this._needDrain = true
    return false
  }

  /** Nothing is before the next chunk but what the window has. */
  private get _hasWayIn(): boolean {
    return this._window !== null && this.writable && this.writableCorked === 0 && lengthInBuffer.call(this) === 0
  }

  /** Puts a chunk into the window if it has room: the base class's queue costs more than a short write. */
  private _take(chunk: unknown, charset: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const window = this._window!
    if (typeof chunk === 'string') {
      const utf8 = (charset ?? this._defaultEncoding) === 'utf8'
      if (!utf8 || !window.acceptString(chunk)) return false
    } else {
      if (!(chunk instanceof Uint8Array) || !window.hasRoomFor(chunk.length)) return false
      const lease = leaseOf(chunk)
      lease?.retain()
      window.accept(chunk, lease)
    }
    if (callback !== undefined) this._callbacks.expect(callback)
    this._callbacks.given()
    this._callbacks.taken(window.accepted)
    return true
  }

  /** Gives a chunk to the base class, which passes it on to `_write` when its turn comes. */
  private _queue(chunk: any, charset: BufferEncoding | undefined, callback: WriteCallback | undefined): boolean {
    const lease = chunk instanceof Uint8Array ? leaseOf(chunk) : undefined
    if (lease !== undefined && this.writable) {
      lease.retain()
      this._buffered.push(lease)
    }
    const more = callback !== undefined
      ? this._writeWithCallback(chunk, charset, callback)
      : super.write(chunk, charset as BufferEncoding)
    this._callbacks.given()
    return more
  }

  override setDefaultEncoding(encoding: BufferEncoding): this {
    super.setDefaultEncoding(encoding)
    this._defaultEncoding = encoding
    return this
  }

  // The base class calls back when the window has the chunk, which is too early for its owner.
  private _writeWithCallback(chunk: any, charset: BufferEncoding | undefined, callback: WriteCallback): boolean {
    const waiting = this._callbacks.expect(callback)
    try {
      return super.write(chunk, charset as BufferEncoding, error => {
        if (error != null) this._callbacks.refuse(waiting, error, this.destroyed)
        else this._callbacks.answer(this._window!.written)
      })
    } catch (error) {
      this._callbacks.forget(waiting)
      throw error
    }
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    const lease = leaseOf(chunk)
    if (lease !== undefined) this._buffered.shift()
    const window = this._window!
    window.accept(chunk, lease)
    this._callbacks.taken(window.accepted)
    if (!window.hasRoom) this._accepted = callback
    else if (this.writableEnded) process.nextTick(callback) // uncork looks for the end only after what is not over at once
    else callback()
  }

  /** Something was written, or failed. */
  private _progressed(): void {
    const window = this._window!
    this.bytesWritten = window.written
    if (window.error !== null) return this._fail(window.error)
    if (window.hasRoom) this._answerAccepted()
    this._drain() // before the callbacks, as Writable does
    this._callbacks.answer(window.written)
    if (this._finalCallback !== null) this._finish()
  }

  private _answerAccepted(error?: Error): void {
    const accepted = this._accepted
    this._accepted = null
    accepted?.(error)
  }

  /** Once: with autoClose false the stream stays open, as fs streams do. */
  private _fail(error: Error): void {
    if (this._failed) return
    this._failed = true
    writableState(this).errored ??= error // what the callbacks may look at
    this._callbacks.fail(error)
    const report = this._finalCallback ?? this._accepted
    this._finalCallback = this._accepted = null
    if (report !== null) report(error)
    else errorOrDestroy(this, writableState(this), error)
  }

  /** Writable emits 'drain' when the window has taken everything; users are told when memory is free again. */
  override emit(event: string | symbol, ...args: any[]): boolean {
    if (event !== 'drain') return super.emit(event, ...args)
    this._drain()
    return false
  }

  private _drain(): void {
    if (!this.writableNeedDrain || lengthInBuffer.call(this) > 0 || !this._pressure!.relieved) return
    this._needDrain = false
    super.emit('drain')
  }

  /** @internal */
  override _final(callback: (error?: Error | null) => void): void {
    this._finalCallback = callback
    this._window!.flush()
    this._finish()
  }

  /** Once everything is written. */
  private _finish(): void {
    const window = this._window!
    if (window.pendingBytes > 0) return
    const callback = this._finalCallback!
    this._finalCallback = null
    this.bytesWritten = window.written
    if (this.start === undefined) this._file.leaveAfter(window)
    this._file.finish(window.position, callback)
  }

  /** Ends the stream; the file is closed when everything is written. */
  close(callback?: (error?: NodeJS.ErrnoException | null) => void): void {
    if (callback !== undefined) {
      if (this.closed) return process.nextTick(callback)
      this.on('close', callback)
    }
    // After its end no other comes: a file that waits for this stream would never be closed.
    if (this.errored !== null) return void this.destroy()
    if (this.writableFinished) return process.nextTick(() => this.destroy()) // who is told of 'finish' behind this finds it open
    if (!this.autoClose) this.on('finish', () => this.destroy())
    // Not destroy: what was written before must not be lost.
    this.end()
  }

  /** The same as `end`, by the name that sockets and fs streams have for it. */
  destroySoon(...args: any[]): this {
    return this.end(...args as [])
  }

  /** All arguments are passed on: the base class takes a callback, too, of which the types know nothing. */
  override destroy(...args: [error?: Error]): this {
    this._file.leave() // the base class waits until it is open: a ring that closes meanwhile waits as well
    return super.destroy(...args)
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const reason = error ?? streamDestroyed('write')
    process.nextTick(() => {
      this._callbacks.fail(reason)
      this._answerAccepted(reason)
    })
    const done = (closeError: Error | null): void => {
      this._async.runInAsyncScope(callback, null, closeError ?? error)
    }
    const close = (): void => {
      for (const lease of this._buffered.splice(0)) lease.release()
      this._fd = null
      this._file.close(done)
    }
    const window = this._window
    if (window === null) return this._file.abandon(0, false, close)
    window.close(() => {
      this.bytesWritten = window.written
      this._file.abandon(window.position, window.error !== null, close)
    })
  }

  /** As Writable's: what was not ended is aborted. What was, is written first. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.writableEnded && !this.destroyed) await finished(this).catch(() => {}) // the base class tells
    await (Writable.prototype as unknown as AsyncDisposable)[Symbol.asyncDispose].call(this)
  }
}

passFor(UringWriteStream, WriteStream)

/** Opens a file to write, like fs.createWriteStream. */
export function createUringWriteStream(
  path: PathLike | null | undefined, options?: WriteStreamOptions | BufferEncoding | null
): UringWriteStream {
  return new UringWriteStream(path, options)
}
