/** A file as the sink of a Web stream (its `UnderlyingSink`) or of a streamx Writable. */
import type { Lease } from './buffers.js'
import type { Left } from './collected.js'
import { unwatchCollection, warnOfCollection, watchCollection } from './collected.js'
import { invalidState } from './errors.js'
import type { Memory } from './memory.js'
import { bytesOf, isDetached } from './memory.js'
import { chunkSizeOf, chunkSizeWritten, depthOf } from './options.js'
import type { PathLike } from './path.js'
import { createWriteBehind } from './direct-write-behind.js'
import type { WritableStreamOptions } from './web-stream-options.js'
import { onOptionalAbort, writableOptions } from './web-stream-options.js'
import type { WriteBehind } from './write-behind.js'
import { WrittenFile } from './written-file.js'

/** What a stream is to its sink; the Web's WritableStreamDefaultController is one. */
export interface SinkController {
  /** Aborted when the stream is: `abort()` comes to the sink only after what it is doing, which may be what must be ended. */
  readonly signal: AbortSignal
  error(reason: unknown): void
}

interface Waiting { resolve: () => void, reject: (error: unknown) => void }

export class FileSink implements Left {
  /** Resolves when the file is open, or with the error that kept it from that. Never rejects. */
  readonly opening: Promise<Error | null>
  readonly file: WrittenFile
  private readonly _options: WritableStreamOptions
  private readonly _chunkSize: number
  private readonly _writeBehind: number
  /** Weak: a stream that is waited for by nobody may be collected. Its writes have it while they last. */
  private _stream!: WeakRef<SinkController>
  private _window: WriteBehind | null = null
  /** The stream's write or close, while it waits for the window. */
  private _waiting: Waiting | null = null
  /** `close()` was called. @internal */
  isClosing = false
  private _ending: Promise<void> | null = null
  private readonly _forgetSignal: () => void

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
  constructor(path: PathLike | null | undefined, options?: WritableStreamOptions) {
    const given = this._options = writableOptions(options)
    this._writeBehind = depthOf(given.writeBehind, 'options.writeBehind', given.direct)
    this._chunkSize = chunkSizeOf(given, chunkSizeWritten)
    this.file = new WrittenFile(path, given)
    this.file.use(() => this._lose())
    this.opening = this.file.neverOpens ? Promise.resolve(null) : this._open()
    this._forgetSignal = onOptionalAbort(given.signal, reason => this._interrupt(reason))
  }

  private _open(): Promise<Error | null> {
    const { flags = 'w', mode = 0o666 } = this._options
    return new Promise(resolve => this.file.open(flags, mode, resolve))
  }

  /** Whether it writes past the page cache. */
  direct = false

  /** Where what is known to be on the disk ends. */
  get flushedPosition(): number {
    return this.file.flushedPosition(this._window)
  }

  /** Bytes in the file, without a gap. */
  get bytesWritten(): number {
    return this._window?.written ?? 0
  }

  /** @internal */
  async start(controller: SinkController): Promise<void> {
    this._stream = new WeakRef(controller)
    if (this._options.signal?.aborted) return this._interrupt(this._options.signal.reason)
    const { signal } = controller
    // Not an error yet: then `abort()` would not come at all.
    signal.addEventListener('abort', () => void this._fail(signal.reason))
    const error = await this.opening
    if (error !== null) {
      await this._fail(error) // a pipe may have come to wait for the window already
      throw error
    }
    if (this._ending !== null) return
    this._makeWindow()
    watchCollection(controller, this)
  }

  private _makeWindow(): void {
    this.direct = this.file.direct !== null
    this._window = createWriteBehind(this.file.forWriting, {
      start: this._options.start,
      chunkSize: this._chunkSize,
      writeBehind: this._writeBehind,
      progressed: () => this._progressed()
    })
  }

  /**
   * Copies the chunk into the window, as it finds room there. So several writes are in flight although the stream
   * gives one chunk after the other, the chunk is free when this is done, and the kernel never touches its memory.
   * @internal
   */
  async write(chunk: unknown): Promise<void> {
    try {
      const bytes = chunkBytes(chunk)
      const { byteLength } = bytes
      const piece = this._chunkSize // what the window copies, as much as it may
      for (let offset = 0; offset < byteLength; offset += piece) {
        while (this._mustWait) await this._wait()
        if (bytes.byteLength < byteLength) throw invalidState('the chunk was detached while it was being written')
        this._window!.accept(bytes.subarray(offset, offset + piece), undefined)
      }
    } catch (error) {
      await this._fail(error)
      throw error
    }
  }

  /** @internal */
  get isOpen(): boolean {
    return this._window !== null
  }

  /**
   * Takes over one reference to a lease, when there is room.
   * @param taken called when it does
   * @param chunk the part of it that is to be written; all of it by default
   * @internal
   */
  async writeLease(lease: Lease, taken: () => void, chunk?: Uint8Array): Promise<void> {
    while (this._mustWait) await this._wait()
    taken()
    if (chunk === undefined) this._window!.acceptLease(lease)
    else this._window!.accept(chunk, lease)
  }

  /** The window may not take another chunk now. Who waits is told when it may, or why it never will. */
  private get _mustWait(): boolean {
    return this._ending !== null || this._isFull
  }

  private get _isFull(): boolean {
    const { pendingBytes, pendingWrites, leases } = this._window!
    return leases > 0 ? pendingWrites >= this._writeBehind : pendingBytes >= this._chunkSize * this._writeBehind
  }

  private _wait(): Promise<void> {
    return new Promise((resolve, reject) => { this._waiting = { resolve, reject } })
  }

  private _progressed(): void {
    const { error } = this._window!
    if (error !== null) return void this._fail(error)
    const waiting = this._waiting
    this._waiting = null
    waiting?.resolve()
  }

  /** @internal */
  async close(): Promise<void> {
    this.isClosing = true
    const window = this._window!
    window.flush()
    while (this._ending !== null || window.pendingBytes > 0) await this._wait()
    if (this._options.start === undefined) this.file.leaveAfter(window)
    const failure = await new Promise<Error | null>(resolve => this.file.finish(window.position, resolve))
    await this._end()
    if (failure !== null) throw failure
  }

  /** @internal */
  abort(): Promise<void> {
    return this._end()
  }

  /** Ends the stream with an error, once its file is closed. */
  private async _fail(error: unknown): Promise<void> {
    await this._end().catch(() => {}) // the first error wins
    const waiting = this._waiting
    this._waiting = null
    waiting?.reject(error)
    this._stream.deref()?.error(error) // who waited may be a pipe, of which the stream knows nothing
  }

  /** Ends the stream at once; who waits for a write or the close learns of it when the file is closed. */
  private _interrupt(reason: unknown): void {
    this._stream.deref()?.error(reason)
    void this._fail(reason)
  }

  /** The FileHandle was closed by its owner, unless it was by us. */
  private _lose(): void {
    if (this._ending === null) this._interrupt(invalidState('the file was closed'))
  }

  /** @internal */
  collected(): void {
    warnOfCollection(this.file, 'a stream was neither closed nor aborted')
    this._end().catch(() => {}) // nobody waits for it
  }

  /** Cancels what can be cancelled, waits for what is in flight, and closes the file. */
  private _end(): Promise<void> {
    return this._ending ??= this._closeFile()
  }

  private async _closeFile(): Promise<void> {
    unwatchCollection(this)
    this._forgetSignal()
    this.file.leave()
    await this.opening
    const window = this._window
    if (window !== null) await new Promise<void>(resolve => window.close(resolve))
    const failed = window !== null && window.error !== null
    await new Promise<void>(resolve => this.file.abandon(window?.position ?? 0, failed, resolve))
    await this.file.end(this._options.autoClose !== false)
  }
}

/** A chunk's bytes; of a string, in UTF-8. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE */
function chunkBytes(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  const bytes = bytesOf(chunk as Memory, 'chunk')
  if (isDetached(bytes)) throw invalidState('the chunk was detached before it was written')
  return bytes
}
