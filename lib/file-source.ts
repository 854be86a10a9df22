/** A file as the source of a Web byte stream (its `UnderlyingByteSource`) or of a streamx Readable. */
import type { ReadableStreamBYOBRequest } from 'node:stream/web'
import { Lease, leaseOf } from './buffers.js'
import type { Left } from './collected.js'
import { unwatchCollection, warnOfCollection, watchCollection } from './collected.js'
import { currentPosition } from './engine.js'
import { invalidState } from './errors.js'
import { chunkSizeLeased, chunkSizeOf, chunkSizeWeb, depthOf } from './options.js'
import type { PathLike } from './path.js'
import { ReadAhead } from './read-ahead.js'
import { StreamFile } from './stream-file.js'
import { ViewRead } from './view-read.js'
import type { ReadableStreamOptions } from './web-stream-options.js'
import { onOptionalAbort, readableOptions } from './web-stream-options.js'

/**
 * Bytes of a view from which on it is filled by a read of its own, without a copy. Smaller ones come from the window:
 * one read and a copy cost less than many reads.
 */
const directMin = 64 * 1024

/** What a stream is to its source; the Web's ReadableByteStreamController is one. */
export interface SourceController {
  readonly byobRequest: ReadableStreamBYOBRequest | null
  readonly desiredSize: number | null
  enqueue(chunk: Uint8Array): void
  close(): void
  error(reason: unknown): void
}

export class FileSource implements Left {
  readonly type = 'bytes'
  /** Bytes given to the stream so far. */
  bytesRead = 0
  /** Whether it reads past the page cache. */
  direct = false
  /** Resolves when the file is open, or with the error that kept it from that. Never rejects. */
  readonly opening: Promise<Error | null>
  readonly file: StreamFile
  private readonly _options: ReadableStreamOptions
  private readonly _readAhead: number
  private readonly _chunkSize: number
  /** Weak: a stream that is waited for by nobody may be collected. Its reads have it while they last. */
  private _stream!: WeakRef<SourceController>
  private _window: ReadAhead | null = null
  /** Resolves when nothing of the last window is in flight. */
  private _dropped: Promise<void> = Promise.resolve()
  /** Called when the stream was collected. @internal */
  forsaken: () => void = () => {}
  /** In the file, of the next byte that the stream gets; or the file's own. */
  private _position = currentPosition
  /** Bytes still to be given at most. */
  private _left: number
  /** Reads into the consumer's views. */
  private _direct: ViewRead | null = null
  /** The stream's first view has no reader any more. */
  private _orphaned = false
  /** Called when the window may have something to take. */
  private _readable: (() => void) | null = null
  private _pulling = false
  private _closing: Promise<void> | null = null
  /** The stream has been closed, cancelled or errored: its controller takes no more. */
  private _settled = false
  private readonly _forgetSignal: () => void

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
  constructor(path: PathLike | null | undefined, options?: ReadableStreamOptions) {
    const given = this._options = readableOptions(options)
    this._readAhead = depthOf(given.readAhead, 'options.readAhead', given.direct)
    this._chunkSize = chunkSizeOf(given, chunkSizeWeb)
    this._left = (given.end ?? Infinity) - (given.start ?? 0) + 1
    this.file = new StreamFile(path, given, [])
    this.file.use(() => this._lose())
    this.opening = this.file.neverOpens ? Promise.resolve(null) : this._open()
    this._forgetSignal = onOptionalAbort(given.signal, reason => this._abort(reason))
  }

  private _open(): Promise<Error | null> {
    const { flags = 'r', mode = 0o666 } = this._options
    return new Promise(resolve => this.file.open(flags, mode, error => {
      const { facts } = this.file
      this._position = this._options.start ?? (this._sequential ? currentPosition : facts.position)
      resolve(error)
    }))
  }

  /** What was read ahead cannot be read again, so it must not be dropped. */
  private get _sequential(): boolean {
    const { facts: { regular, position, size }, direct } = this.file
    if (direct !== null) return false
    return !regular || position < 0 || size === 0
  }

  /** @internal */
  async start(controller: SourceController): Promise<void> {
    this._stream = new WeakRef(controller)
    const { signal } = this._options
    if (signal?.aborted) return this._abort(signal.reason)
    const error = await this.opening
    if (error === null) {
      if (this._closing === null) watchCollection(controller, this)
      return
    }
    await this._close()
    throw error
  }

  /** Without an async function where it need not wait: each costs a large view's read a hundredth. @internal */
  pull(controller: SourceController): Promise<void> | void {
    if (this._direct?.isRunning) return // another view was brought: its turn comes when this one is answered
    const { byobRequest } = controller
    const pulled = byobRequest !== null && this._fillsDirectly(byobRequest.view!.byteLength)
      ? this._fill(controller, byobRequest)
      : this._enqueue(controller)
    if (pulled === undefined) return
    this._pulling = true
    return pulled.then(this._pulled)
  }

  private readonly _pulled = (): void => { this._pulling = false }

  private _fillsDirectly(bytes: number): boolean {
    return this.file.direct === null && bytes >= Math.min(directMin, this._chunkSize) && (this._window === null || !this._sequential)
  }

  /** Gives the stream the next chunk. It serves views from it as well, and keeps what is left over. */
  private _enqueue(controller: SourceController): Promise<void> | void {
    const chunk = this.take(false)
    if (chunk === null) return this.mayHaveMore().then(more => more ? this._enqueue(controller) : this.finish())
    const lease = leaseOf(chunk)
    // What the stream gets it transfers: a lease, or a part of a large buffer, must be its consumer's own.
    controller.enqueue(lease === undefined && ownsBuffer(chunk) ? chunk : new Uint8Array(chunk))
    lease?.release()
  }

  /** The next chunk, leased if that is wanted; null when there is none yet, and at the end. @internal */
  take(leased: boolean): Buffer | null {
    const taken = this.takeUnseen(leased)
    return taken instanceof Lease ? taken.chunk : taken
  }

  /** The same, but of a lease no chunk: for a pipe. @internal */
  takeUnseen(leased: boolean): Lease | Buffer | null {
    if (this._closing !== null) return null
    const window = this._window ??= this._makeWindow(leased)
    window.leased = leased
    const taken = window.takeUnseen()
    if (taken !== null) this._moved(taken.length)
    return taken
  }

  private _makeWindow(leased: boolean): ReadAhead {
    const { chunkSize } = this._options
    this.direct = this.file.direct !== null
    return new ReadAhead(this.file.forReading, {
      start: this._position === currentPosition ? undefined : this._position,
      length: this._left,
      chunkSize: leased && chunkSize === undefined ? chunkSizeLeased : this._chunkSize,
      readAhead: this._readAhead,
      leased,
      readable: () => this._wake()
    })
  }

  private _wake(): void {
    const readable = this._readable
    this._readable = null
    readable?.()
  }

  private _moved(bytes: number): void {
    this.bytesRead += bytes
    this._left -= bytes
    if (this._position !== currentPosition) this._position += bytes
  }

  /** After a take had nothing: calls back when it may have. False if it never will: then `finish`. @internal */
  whenReadable(callback: () => void): boolean {
    const window = this._window
    if (this._closing !== null || window === null || window.ended || window.error !== null) return false
    this._readable = callback
    return true
  }

  /** The same as a promise. @internal */
  mayHaveMore(): Promise<boolean> {
    return new Promise(resolve => { if (!this.whenReadable(() => resolve(true))) resolve(false) })
  }

  /** Tells the stream of the end, or of the error that was it. @internal */
  async finish(): Promise<void> {
    const window = this._window
    if (this._closing !== null || window === null) return
    if (window.error !== null) await this._fail(window.error)
    else await this._end()
  }

  /** Reads from the file straight into the consumer's view. */
  private _fill(controller: SourceController, request: ReadableStreamBYOBRequest): Promise<void> | void {
    if (this._closing !== null) return
    if (this._window !== null) return this._dropWindow().then(() => this._fill(controller, request))
    const view = request.view as Uint8Array
    const bytes = Math.min(view.byteLength, this._left)
    if (bytes === 0) return this._end()
    const read = this._direct ??= this._makeViewRead()
    // No promise for the stream to wait for: it asks again when it is answered.
    read.run(view, bytes, this._position, () => this._filled(controller, request, read))
  }

  private _makeViewRead(): ViewRead {
    const { ring, file, facts } = this.file
    return new ViewRead(ring, file!, this._sequential, Math.min(facts.size, this._position + this._left))
  }

  private _filled(controller: SourceController, request: ReadableStreamBYOBRequest, { filled, failure }: ViewRead): void {
    if (this._closing !== null) return
    if (filled === 0) return void (failure !== null ? this._fail(failure) : this._end())
    this._moved(filled)
    if (!this._orphaned) return request.respond(filled)
    this._orphaned = false
    // `respond` would put the bytes into the stream's queue and leave a default reader waiting that came meanwhile.
    controller.enqueue((request.view as Uint8Array).slice(0, filled))
  }

  /** A BYOB reader was released: the view that it waited for is for the next reader. @internal */
  orphan(): void {
    this._orphaned = this._stream.deref()?.byobRequest != null
  }

  /** What was read ahead will be read again, into views. A close that comes meanwhile waits for the same. */
  private _dropWindow(): Promise<void> {
    const window = this._window
    this._window = null
    if (window !== null) this._dropped = new Promise(resolve => window.close(resolve))
    return this._dropped
  }

  /** The end of the file: it is closed first, so that a consumer who sees the end may do as it likes with it. */
  private async _end(): Promise<void> {
    const controller = this._stream.deref() // from here on: who waits for a view has nothing else that keeps the stream
    if (this._options.start === undefined) this.file.leaveBehind(this.bytesRead)
    try {
      await this._close()
    } catch (error) {
      return this._error(error, controller)
    }
    if (this._settled) return
    this._settled = true
    try {
      controller?.close()
    } catch {
      return // the last bytes are no whole element of the consumer's view: the controller has errored the stream
    }
    controller?.byobRequest?.respond(0)
  }

  private async _fail(error: Error): Promise<void> {
    const controller = this._stream.deref() // as in `_end`
    await this._close().catch(() => {}) // the first error wins
    this._error(error, controller)
  }

  private _error(reason: unknown, controller = this._stream.deref()): void {
    if (this._settled) return
    this._settled = true
    controller?.error(reason)
  }

  private _abort(reason: unknown): void {
    this._error(reason)
    this._close().catch(() => {}) // nobody waits for it
  }

  /** The FileHandle was closed by its owner, unless it was by us: the rest of the file must not seem to be missing. */
  private _lose(): void {
    if (this._closing === null) this._abort(invalidState('the file was closed'))
  }

  /** @internal */
  collected(): void {
    this.forsaken()
    warnOfCollection(this.file, 'a stream was neither read to its end nor cancelled')
    this._close().catch(() => {}) // nobody waits for it
  }

  /** @internal */
  cancel(): Promise<void> {
    this._settled = true
    return this._close()
  }

  /** Cancels what is in flight, waits until it is over, and closes the file. */
  private _close(): Promise<void> {
    return this._closing ??= this._closeFile()
  }

  private async _closeFile(): Promise<void> {
    unwatchCollection(this)
    this._forgetSignal()
    this.file.leave()
    await this.opening
    this._wake()
    await this._direct?.stop()
    await this._dropWindow()
    await this.file.end(this._options.autoClose !== false)
  }

  /** Whether a pipe may take chunks past the stream: nothing of it is in the stream's queue, or on its way there. @internal */
  get isClear(): boolean {
    return this._closing === null && !this._pulling && !this._direct?.isRunning && this._stream.deref()!.desiredSize === 0
  }
}

/** Whether the chunk has all of its ArrayBuffer, or nearly. */
function ownsBuffer({ buffer, byteLength }: Uint8Array): boolean {
  return byteLength * 2 >= buffer.byteLength
}
