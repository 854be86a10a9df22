/** UringFile: positional reads and writes of an open file. */
import { EventEmitter } from 'node:events'
import type { BigIntStats, StatOptions, Stats } from 'node:fs'
import { fchmod, fchown, fstat, ftruncate, futimes } from 'node:fs'
import type { Interface } from 'node:readline'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { FixedBuffer } from './buffers.js'
import { unwatchCollection, watchCollection } from './collected.js'
import type { DirectFile } from './direct.js'
import { DirectTransfers } from './direct-transfer.js'
import type { OpenFile } from './engine.js'
import { abortError, errnoError, invalidState } from './errors.js'
import type { Position, TransferOptions } from './file-arguments.js'
import { positionOf, readArguments, vectorArguments, writeArguments } from './file-arguments.js'
import { FilePosition } from './file-position.js'
import type { FileContent } from './file-content.js'
import { contentOf, writeContent } from './file-content.js'
import type { Memory } from './memory.js'
import type { ReadStreamOptions, WriteStreamOptions } from './node-stream-options.js'
import { UringReadStream } from './node-read-stream.js'
import { UringWriteStream } from './node-write-stream.js'
import type { Operation } from './operation.js'
import type { Range } from './operation-arguments.js'
import { HeldFiles } from './open-files.js'
import { ops } from './operations.js'
import { operationBytesMax, streamOptions, validateInteger } from './options.js'
import type { Ring } from './ring.js'
import { pieceOf, readPieces, writeVectors } from './transfers.js'
import { oneVector } from './vectors.js'
import type { ReadableStreamOptions, WritableStreamOptions } from './web-stream-options.js'
import { UringReadableStream, UringWritableStream } from './web-streams.js'

interface Abortable { signal?: AbortSignal | undefined }

/** Of reading or writing everything. */
export interface ContentOptions extends Abortable {
  /** Of strings: what is read is a Buffer by default, what is written 'utf8'. */
  encoding?: BufferEncoding | null | undefined
}
export interface ReadResult<B> { bytesRead: number, buffer: B }
export interface WriteResult<B> { bytesWritten: number, buffer: B }

/** Streams count themselves among a file's users by methods of these names, as they do with a FileHandle. */
const kRef = Symbol('kRef')
const kUnref = Symbol('kUnref')

const EBADF = -9

/**
 * An open file, in place of FileHandle: the same names and signatures, and any number of operations in flight.
 * Made by `open`. Emits 'close'. One that nobody has any more is closed when it is collected, with a warning.
 */
export class UringFile extends EventEmitter {
  readonly ring: Ring
  private readonly _held: HeldFiles
  private _file: OpenFile | null
  private _direct: DirectTransfers | null = null
  private _pending = 0
  private _idle: (() => void) | null = null
  private readonly _position: FilePosition
  private _closing: Promise<void> | null = null

  /** @internal */
  constructor(ring: Ring, fd: number, direct: DirectFile | null) {
    super()
    this.ring = ring
    const file = this._file = ring.engine.installLater(fd)
    this._position = new FilePosition(ring, fd)
    this._held = new HeldFiles(ring, direct === null ? [file] : [direct.file, file])
    watchCollection(this, this._held)
    if (direct !== null) this._direct = new DirectTransfers(ring, direct, file, (operation, signal) => this._run(operation, signal))
  }

  /** Whether it is read and written past the page cache. */
  get direct(): boolean {
    return this._direct !== null
  }

  /** Its descriptor; -1 once it is closed. */
  get fd(): number {
    return this._file?.fd ?? -1
  }

  /**
   * Reads once, as FileHandle.read: `(buffer, offset, length, position)`, `(buffer, { offset, length, position })` or
   * `({ buffer, ... })`. Fewer bytes than asked for mean the end, or a pipe that has no more now. Several at once
   * without a position go one after the other.
   * Rejects with EBADF after close, and as `Ring.submit`.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE by the promise
   */
  async read<B extends Memory>(buffer: B, offset?: number | null, length?: number | null, position?: Position): Promise<ReadResult<B>>
  async read<B extends Memory>(buffer: B, options?: TransferOptions & Abortable): Promise<ReadResult<B>>
  async read<B extends Memory = Buffer>(options?: TransferOptions & Abortable & { buffer?: B | undefined }): Promise<ReadResult<B>>
  async read(...args: any[]): Promise<ReadResult<Memory>> {
    const file = this._opened('read') // a closed file says so before anything else
    const { buffer, bytes, position } = readArguments(args)
    if (bytes.byteLength === 0) return { bytesRead: 0, buffer }
    const signal = signalOf(args)
    if (this._direct !== null && position !== null) return { bytesRead: await this._hold(this._direct.read(bytes, position, signal)), buffer }
    if (bytes.byteLength <= operationBytesMax) {
      return { bytesRead: await this._readOnce(ops.read(file, bytes, position), position, signal), buffer }
    }
    const read = (): Promise<number> => readPieces(bytes, position, (piece, at) => this._run(ops.read(file, piece, at), signal))
    return { bytesRead: await this._hold(position === null ? this._position.read(read) : read()), buffer }
  }

  /**
   * Writes all of it, as FileHandle.write: `(buffer, offset, length, position)`, `(buffer, { ... })` or
   * `(string, position, encoding)`; short writes are continued.
   */
  async write<B extends Memory>(buffer: B, offset?: number | null, length?: number | null, position?: Position): Promise<WriteResult<B>>
  async write<B extends Memory>(buffer: B, options?: TransferOptions & Abortable): Promise<WriteResult<B>>
  async write(text: string, position?: Position, encoding?: BufferEncoding | null): Promise<WriteResult<string>>
  async write(...args: any[]): Promise<WriteResult<Memory | string>> {
    const file = this._opened('write')
    const { buffer, bytes, position } = writeArguments(args)
    if ((buffer as Memory).byteLength === 0) return { bytesWritten: 0, buffer }
    const signal = signalOf(args)
    if (this._direct !== null && position !== null) return { bytesWritten: await this._hold(this._direct.write(bytes, position, signal)), buffer }
    const bytesWritten = await this._hold(this._position.writeWhole(bytes.byteLength, position, (done, at) =>
      this._run(ops.write(file, pieceOf(bytes, done), at), signal)))
    return { bytesWritten, buffer }
  }

  /** One read into several buffers, in order. */
  async readv<B extends readonly Memory[]>(
    buffers: B, position?: Position, { signal }: Abortable = {}
  ): Promise<{ bytesRead: number, buffers: B }> {
    const at = positionOf(position)
    const operation = ops.readv(this._opened('readv'), oneVector(vectorArguments(buffers)), at)
    return { bytesRead: await this._readOnce(operation, at, signal), buffers }
  }

  /** Writes several buffers, in order; short writes are continued. */
  async writev<B extends readonly Memory[]>(
    buffers: B, position?: Position, { signal }: Abortable = {}
  ): Promise<{ bytesWritten: number, buffers: B }> {
    const file = this._opened('writev')
    const bytesWritten = await this._hold(writeVectors(vectorArguments(buffers), positionOf(position), (vector, at) =>
      this._run(ops.writev(file, vector, at), signal), this._position.writeWhole.bind(this._position)))
    return { bytesWritten, buffers }
  }

  /** Reads into a buffer of a BufferPool, without a copy. */
  async readFixed(buffer: FixedBuffer, position?: Position, range?: Range & Abortable): Promise<ReadResult<FixedBuffer>> {
    const at = positionOf(position)
    return { bytesRead: await this._readOnce(ops.readFixed(this._opened('read'), buffer, at, range), at, range?.signal), buffer }
  }

  /** Writes from a buffer of a BufferPool; short writes are continued. */
  async writeFixed(buffer: FixedBuffer, position?: Position, range: Range & Abortable = {}): Promise<WriteResult<FixedBuffer>> {
    const file = this._opened('write')
    const { offset = 0, length = buffer.length - offset, signal } = range
    const bytesWritten = await this._hold(this._position.writeWhole(length, positionOf(position), (done, at) =>
      this._run(ops.writeFixed(file, buffer, at, { offset: offset + done, length: length - done }), signal)))
    return { bytesWritten, buffer }
  }

  /**
   * Reads from where the file stands to its end. Rejects with AbortError.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE by the promise
   */
  async readFile(options?: (ContentOptions & { encoding?: null | undefined }) | null): Promise<Buffer>
  async readFile(options: BufferEncoding | (ContentOptions & { encoding: BufferEncoding })): Promise<string>
  async readFile(options?: ContentOptions | BufferEncoding | null): Promise<Buffer | string>
  async readFile(options?: ContentOptions | BufferEncoding | null): Promise<Buffer | string> {
    const { encoding, signal } = streamOptions<ContentOptions>(options)
    const stream = new UringReadableStream(null, { ...this._contentOptions('readFile'), signal })
    return this._hold(unlessAborted(signal, contentOf(stream, encoding ?? null)))
  }

  /**
   * Writes all of the data from where the file stands on, and cuts nothing off behind it. Rejects with AbortError; what
   * was written until then stays.
   * @param options with `flush`, it is on the disk when this resolves
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE by the promise
   */
  async writeFile(data: FileContent, options?: ContentOptions & { flush?: boolean | undefined } | BufferEncoding | null): Promise<void> {
    const { encoding, signal, flush } = streamOptions<ContentOptions & { flush?: boolean | undefined }>(options)
    const stream = new UringWritableStream(null, { ...this._contentOptions('writeFile'), signal, flush })
    return this._hold(unlessAborted(signal, writeContent(stream, data, encoding ?? 'utf8')))
  }

  /** The same: a file that is to be added to is opened with 'a'. */
  async appendFile(data: FileContent, options?: ContentOptions & { flush?: boolean | undefined } | BufferEncoding | null): Promise<void> {
    return this.writeFile(data, options)
  }

  /** The lines of the file, by node:readline; options as `createReadStream` has them. */
  readLines(options: Omit<ReadStreamOptions, 'fd' | 'fs'> = {}): Interface {
    return createInterface({ input: this.createReadStream(options), crlfDelay: Infinity })
  }

  /** Waits until data and metadata are on the disk. */
  async sync({ signal }: Abortable = {}): Promise<void> {
    await this._run(ops.fsync(this._opened('fsync')), signal)
  }

  /** Waits until the data is on the disk. */
  async datasync({ signal }: Abortable = {}): Promise<void> {
    await this._run(ops.fdatasync(this._opened('fdatasync')), signal)
  }

  /** Cuts or extends the file to `length` bytes. */
  async truncate(length = 0): Promise<void> {
    validateInteger(length, 'len', Number.MIN_SAFE_INTEGER)
    await this._hold(promisify(ftruncate)(this._opened('ftruncate').fd, Math.max(0, length)))
  }

  /** Allocates space on the disk; `mode` of FALLOC_FL_*. */
  async allocate(offset: number, length: number, mode = 0, { signal }: Abortable = {}): Promise<void> {
    await this._run(ops.fallocate(this._opened('fallocate'), offset, length, mode), signal)
  }

  /** As FileHandle.stat: numbers, or with `bigint` bigints. */
  async stat(options?: StatOptions & { bigint?: false }): Promise<Stats>
  async stat(options: StatOptions & { bigint: true }): Promise<BigIntStats>
  async stat(options: StatOptions = {}): Promise<Stats | BigIntStats> {
    return this._hold(promisify(fstat)(this._opened('fstat').fd, options))
  }

  /** Changes the permissions. */
  async chmod(mode: number | string): Promise<void> {
    await this._hold(promisify(fchmod)(this._opened('fchmod').fd, mode))
  }

  /** Changes the owner. */
  async chown(uid: number, gid: number): Promise<void> {
    await this._hold(promisify(fchown)(this._opened('fchown').fd, uid, gid))
  }

  /** Changes the times of access and modification: seconds, or Dates. */
  async utimes(atime: number | string | Date, mtime: number | string | Date): Promise<void> {
    await this._hold(promisify(futimes)(this._opened('futimes').fd, atime, mtime))
  }

  /** A stream that reads from this file, and closes it unless `autoClose` is false. */
  createReadStream(options: Omit<ReadStreamOptions, 'fd' | 'fs'> = {}): UringReadStream {
    return new UringReadStream(null, this._streamOptions(options))
  }

  /** A stream that writes to this file, and closes it unless `autoClose` is false. */
  createWriteStream(options: Omit<WriteStreamOptions, 'fd' | 'fs'> = {}): UringWriteStream {
    return new UringWriteStream(null, this._streamOptions(options))
  }

  /** A Web stream that reads from this file, and closes it unless `autoClose` is false. @throws ERR_INVALID_STATE once it is closed */
  readableStream(options: Omit<ReadableStreamOptions, 'fd'> = {}): UringReadableStream {
    return new UringReadableStream(null, this._webStreamOptions(options))
  }

  /**
   * FileHandle's: a Web stream that reads from where the file stands to its end, and closes it only with `autoClose`. It
   * is a byte stream whatever `type` says.
   */
  readableWebStream(options: { autoClose?: boolean | undefined, type?: 'bytes' | undefined } = {}): UringReadableStream {
    return this.readableStream({ autoClose: false, ...options })
  }

  /** A Web stream that writes to this file, and closes it unless `autoClose` is false. @throws ERR_INVALID_STATE once it is closed */
  writableStream(options: Omit<WritableStreamOptions, 'fd'> = {}): UringWritableStream {
    return new UringWritableStream(null, this._webStreamOptions(options))
  }

  /** The caller's, for a stream over this file. By Object.assign, as in UringReadStream. */
  private _streamOptions<T extends object>(options: T) {
    return Object.assign({ direct: this.direct }, options, { ring: this.ring, fd: this })
  }

  /** Where the streams of Node find that -1 is no descriptor, readableWebStream says what is wrong. */
  private _webStreamOptions<T extends object>(options: T) {
    if (this._closing !== null) throw invalidState('the file is closed')
    return this._streamOptions(options)
  }

  /** For all of the content at once: by the descriptor, for a stream over the file ends when its owner begins to close that. */
  private _contentOptions(syscall: string): { direct: boolean, ring: Ring, fd: number, autoClose: false } {
    return { direct: this.direct, ring: this.ring, fd: this._opened(syscall).fd, autoClose: false }
  }

  /** @param syscall that is not done where the file is closed */
  private _opened(syscall: string): OpenFile {
    if (this._file === null || this._closing !== null) throw errnoError(EBADF, syscall)
    return this._file
  }

  /** Of those that read where the file stands, each waits for the one before it. */
  private _readOnce(operation: Operation, position: number | bigint | null, signal?: AbortSignal): Promise<number> {
    if (position !== null) return this._run(operation, signal)
    return this._hold(this._position.read(() => this._run(operation, signal)))
  }

  /** By a callback where it can: each promise more costs a cached read a tenth. */
  private _run(operation: Operation, signal?: AbortSignal): Promise<number> {
    if (signal !== undefined) return this._hold(this.ring.submit(operation, { signal })).then(({ result }) => result)
    return new Promise((resolve, reject) => {
      this.ring.submit(operation, (error, result) => {
        this[kUnref]()
        if (error === null) resolve(result)
        else reject(error)
      })
      this[kRef]()
    })
  }

  /** The file stays open until the work on it is done. */
  private async _hold<T>(work: Promise<T>): Promise<T> {
    this[kRef]()
    try {
      return await work
    } finally {
      this[kUnref]()
    }
  }

  /** @internal */
  [kRef](): void {
    this._pending++
  }

  /** @internal */
  [kUnref](): void {
    if (--this._pending === 0) this._idle?.()
  }

  /** Closes the file when everything in flight has ended. Later calls wait for the same. */
  close(): Promise<void> {
    if (this._closing !== null) return this._closing
    this._closing = this._close()
    this.emit('close') // as FileHandle does: when it begins to close
    return this._closing
  }

  private async _close(): Promise<void> {
    if (this._pending > 0) await new Promise<void>(resolve => { this._idle = resolve })
    this._file = null
    unwatchCollection(this._held)
    await this._held.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  const [first, second] = args as { signal?: AbortSignal }[]
  return first?.signal ?? second?.signal
}

/** An abort is told of as node:fs tells: with an AbortError, whose cause is the signal's reason. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw signal?.aborted ? abortError(signal.reason) : error
  }
}
