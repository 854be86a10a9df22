/** UringFile: positional reads and writes of an open file. */
import { EventEmitter } from 'node:events'
import type { BigIntStats, StatOptions, Stats } from 'node:fs'
import { constants, fstat, ftruncate } from 'node:fs'
import { promisify } from 'node:util'
import type { FixedBuffer } from './buffers.js'
import type { DirectChoice, DirectFile } from './direct.js'
import { openDirect } from './direct.js'
import { DirectTransfers } from './direct-transfer.js'
import type { OpenFile } from './engine.js'
import { errnoError } from './errors.js'
import type { Position, TransferOptions } from './file-arguments.js'
import { positionOf, readArguments, vectorArguments, writeArguments } from './file-arguments.js'
import type { Memory } from './memory.js'
import type { ReadStreamOptions, WriteStreamOptions } from './node-stream-options.js'
import { UringReadStream } from './node-read-stream.js'
import { UringWriteStream } from './node-write-stream.js'
import type { Operation } from './operation.js'
import type { Range } from './operations.js'
import { closeFile, openDescriptor } from './open-files.js'
import { ops } from './operations.js'
import type { EngineChoice } from './options.js'
import { operationBytesMax, validateDirect } from './options.js'
import { openFlags } from './open-flags.js'
import type { RingUse } from './admission.js'
import { Ring } from './ring.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'
import { firstBytes, withoutFirst } from './vectors.js'
import type { ReadableStreamOptions, WritableStreamOptions } from './web-stream-options.js'
import { UringReadableStream, UringWritableStream } from './web-streams.js'

export interface OpenOptions {
  /** Of a file that is made. Default 0o666. */
  mode?: string | number
  /** Another ring than the thread's shared one. */
  ring?: Ring
  /** Default 'auto'. */
  engine?: EngineChoice
  signal?: AbortSignal
  /**
   * Past the page cache (O_DIRECT): reads and writes of any position, length and memory, but for those at the file's own
   * position. `true` fails with ERR_DIRECT_UNAVAILABLE where that is refused; with 'prefer' the file's `direct` is false
   * then. Default false.
   */
  direct?: DirectChoice
}

interface Abortable { signal?: AbortSignal }
export interface ReadResult<B> { bytesRead: number, buffer: B }
export interface WriteResult<B> { bytesWritten: number, buffer: B }

/** Streams count themselves among a file's users by methods of these names, as they do with a FileHandle. */
const kRef = Symbol('kRef')
const kUnref = Symbol('kUnref')

const EBADF = -9
/** O_ACCMODE */
const accessMode = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR
/** Vectors of one write at most (UIO_MAXIOV of the kernel). */
const vectorMax = 1024

/**
 * An open file, in place of FileHandle: the same names and signatures, and any number of operations in flight.
 * Made by `open`. Emits 'close'.
 */
export class UringFile extends EventEmitter {
  readonly ring: Ring
  private readonly _use: RingUse
  private _file: OpenFile | null
  private _direct: DirectTransfers | null = null
  private _pending = 0
  private _idle: (() => void) | null = null
  private _closing: Promise<void> | null = null

  /** @internal */
  constructor(ring: Ring, fd: number, direct: DirectFile | null) {
    super()
    this.ring = ring
    this._use = ring.use()
    const file = this._file = ring.engine.install(fd)
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
   * `({ buffer, ... })`. Fewer bytes than asked for mean the end, or a pipe that has no more now.
   * Rejects with EBADF after close, and as `Ring.submit`.
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE by the promise
   */
  async read<B extends Memory>(buffer: B, offset?: number | null, length?: number | null, position?: Position): Promise<ReadResult<B>>
  async read<B extends Memory>(buffer: B, options?: TransferOptions & Abortable): Promise<ReadResult<B>>
  async read<B extends Memory = Buffer>(options?: TransferOptions & Abortable & { buffer?: B }): Promise<ReadResult<B>>
  async read(...args: any[]): Promise<ReadResult<Memory>> {
    void this._opened // a closed file says so before anything else
    const { buffer, bytes, position } = readArguments(args)
    if (bytes.byteLength === 0) return { bytesRead: 0, buffer }
    const signal = signalOf(args)
    if (this._direct !== null && position !== null) return { bytesRead: await this._direct.read(bytes, position, signal), buffer }
    if (bytes.byteLength <= operationBytesMax) {
      return { bytesRead: await this._run(ops.read(this._opened, bytes, position), signal), buffer }
    }
    const bytesRead = await this._pieces(bytes, position, false, (piece, at) =>
      this._run(ops.read(this._opened, piece, at), signal))
    return { bytesRead, buffer }
  }

  /**
   * Writes all of it, as FileHandle.write: `(buffer, offset, length, position)`, `(buffer, { ... })` or
   * `(string, position, encoding)`; short writes are continued.
   */
  async write<B extends Memory>(buffer: B, offset?: number | null, length?: number | null, position?: Position): Promise<WriteResult<B>>
  async write<B extends Memory>(buffer: B, options?: TransferOptions & Abortable): Promise<WriteResult<B>>
  async write(text: string, position?: Position, encoding?: BufferEncoding | null): Promise<WriteResult<string>>
  async write(...args: any[]): Promise<WriteResult<Memory | string>> {
    void this._opened
    const { buffer, bytes, position } = writeArguments(args)
    if ((buffer as Memory).byteLength === 0) return { bytesWritten: 0, buffer }
    const signal = signalOf(args)
    if (this._direct !== null && position !== null) return { bytesWritten: await this._direct.write(bytes, position, signal), buffer }
    const bytesWritten = await this._pieces(bytes, position, true, (piece, at) =>
      this._run(ops.write(this._opened, piece, at), signal))
    return { bytesWritten, buffer }
  }

  /** Splits what one operation cannot carry; goes on after a short write, and ends at a short read. */
  private async _pieces(
    bytes: Uint8Array, position: number | bigint | null, toTheEnd: boolean,
    move: (piece: Uint8Array, at: number | bigint | null) => Promise<number>
  ): Promise<number> {
    let done = 0
    do {
      const piece = bytes.subarray(done, done + operationBytesMax)
      const moved = await move(piece, later(position, done)).catch(error => { throw after(done, error, toTheEnd) })
      done += moved
      if (moved < piece.byteLength && !(toTheEnd && moved > 0)) break
    } while (done < bytes.byteLength)
    return done
  }

  /** One read into several buffers, in order. */
  async readv<B extends Memory>(buffers: readonly B[], position?: Position): Promise<{ bytesRead: number, buffers: readonly B[] }> {
    const operation = ops.readv(this._opened, firstBytes(vectorArguments(buffers), operationBytesMax), positionOf(position))
    return { bytesRead: await this._run(operation), buffers }
  }

  /** Writes several buffers, in order; short writes are continued. */
  async writev<B extends Memory>(buffers: readonly B[], position?: Position): Promise<{ bytesWritten: number, buffers: readonly B[] }> {
    const all = vectorArguments(buffers)
    let left = all.filter(each => each.byteLength > 0)
    if (left.length === 0) left = all.slice(0, 1) // the kernel has a say even in writing nothing
    const from = positionOf(position)
    let bytesWritten = 0
    void this._opened
    while (left.length > 0) {
      const vector = firstBytes(left.slice(0, vectorMax), operationBytesMax)
      const moved = await this._run(ops.writev(this._opened, vector, later(from, bytesWritten)))
        .catch(error => { throw after(bytesWritten, error) })
      if (moved === 0) break
      bytesWritten += moved
      left = withoutFirst(left, moved)
    }
    return { bytesWritten, buffers }
  }

  /** Reads into a buffer of a BufferPool, without a copy. */
  async readFixed(buffer: FixedBuffer, position?: Position, range?: Range & Abortable): Promise<ReadResult<FixedBuffer>> {
    return { bytesRead: await this._run(ops.readFixed(this._opened, buffer, positionOf(position), range), range?.signal), buffer }
  }

  /** Writes from a buffer of a BufferPool; short writes are continued. */
  async writeFixed(buffer: FixedBuffer, position?: Position, range: Range & Abortable = {}): Promise<WriteResult<FixedBuffer>> {
    const { offset = 0, length = buffer.length - offset, signal } = range
    const from = positionOf(position)
    let done = 0
    do {
      const rest = { offset: offset + done, length: length - done }
      const moved = await this._run(ops.writeFixed(this._opened, buffer, later(from, done), rest), signal)
        .catch(error => { throw after(done, error) })
      if (moved === 0) break
      done += moved
    } while (done < length)
    return { bytesWritten: done, buffer }
  }

  /** Waits until data and metadata are on the disk. */
  async sync(): Promise<void> {
    await this._run(ops.fsync(this._opened))
  }

  /** Waits until the data is on the disk. */
  async datasync(): Promise<void> {
    await this._run(ops.fdatasync(this._opened))
  }

  /** Cuts or extends the file to `length` bytes. */
  async truncate(length = 0): Promise<void> {
    await this._hold(promisify(ftruncate)(this._opened.fd, length))
  }

  /** Allocates space on the disk; `mode` of FALLOC_FL_*. */
  async allocate(offset: number, length: number, mode = 0): Promise<void> {
    await this._run(ops.fallocate(this._opened, offset, length, mode))
  }

  /** As FileHandle.stat: numbers, or with `bigint` bigints. */
  async stat(options?: StatOptions & { bigint?: false }): Promise<Stats>
  async stat(options: StatOptions & { bigint: true }): Promise<BigIntStats>
  async stat(options: StatOptions = {}): Promise<Stats | BigIntStats> {
    return this._hold(promisify(fstat)(this._opened.fd, options))
  }

  /** A stream that reads from this file, and closes it unless `autoClose` is false. */
  createReadStream(options: Omit<ReadStreamOptions, 'fd' | 'fs'> = {}): UringReadStream {
    return new UringReadStream(null, { direct: this.direct, ...options, ring: this.ring, fd: this })
  }

  /** A stream that writes to this file, and closes it unless `autoClose` is false. */
  createWriteStream(options: Omit<WriteStreamOptions, 'fd' | 'fs'> = {}): UringWriteStream {
    return new UringWriteStream(null, { direct: this.direct, ...options, ring: this.ring, fd: this })
  }

  /** A Web stream that reads from this file, and closes it unless `autoClose` is false. */
  readableStream(options: Omit<ReadableStreamOptions, 'fd'> = {}): UringReadableStream {
    return new UringReadableStream(null, { direct: this.direct, ...options, ring: this.ring, fd: this })
  }

  /** A Web stream that writes to this file, and closes it unless `autoClose` is false. */
  writableStream(options: Omit<WritableStreamOptions, 'fd'> = {}): UringWritableStream {
    return new UringWritableStream(null, { direct: this.direct, ...options, ring: this.ring, fd: this })
  }

  private get _opened(): OpenFile {
    if (this._file === null || this._closing !== null) throw errnoError(EBADF, 'fd')
    return this._file
  }

  private async _run(operation: Operation, signal?: AbortSignal): Promise<number> {
    const { result } = await this._hold(this.ring.submit(operation, { signal }))
    return result
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
    const file = this._file!
    this._file = null
    this._use.leaving()
    try {
      if (this._direct !== null) await closeFile(this.ring, this._direct.direct.file)
      await closeFile(this.ring, file)
    } finally {
      this._use.left()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Null where direct IO is not to be had and only preferred. */
async function directOf(ring: Ring, fd: number, path: string | Buffer, flags: number, choice: DirectChoice): Promise<DirectFile | null> {
  return new Promise((resolve, reject) => {
    ring.engine.inspect(fd, (error, facts) => {
      if (error !== null) return reject(error)
      openDirect(ring, fd, facts, flags & accessMode, path, (refused, direct) => {
        if (refused === null || choice === 'prefer') resolve(direct)
        else reject(refused)
      })
    })
  })
}

function signalOf(args: readonly unknown[]): AbortSignal | undefined {
  const [first, second] = args as { signal?: AbortSignal }[]
  return first?.signal ?? second?.signal
}

/** The error of a write that went on from a short one: what was written before counts. */
function after(done: number, error: Error & { bytesWritten?: number }, writes = true): Error {
  if (writes && done > 0) error.bytesWritten = done + (error.bytesWritten ?? 0)
  return error
}

/** A position so many bytes further; null stays where the file is. */
function later(position: number | bigint | null, bytes: number): number | bigint | null {
  if (position === null || bytes === 0) return position
  return typeof position === 'bigint' ? position + BigInt(bytes) : position + bytes
}

/**
 * Opens a file. Rejects in Node's shape: `ENOENT: no such file or directory, open '/x'`.
 *
 * @param flags as in node:fs. Default 'r'
 */
export async function open(path: PathLike, flags: string | number = 'r', options: OpenOptions = {}): Promise<UringFile> {
  const { mode = 0o666, engine, signal, direct = false } = options
  validateDirect(direct)
  const ring = options.ring ?? Ring.shared(engine)
  const fd = await openDescriptor(ring, validPath(path), flags, mode, signal)
  if (direct === false) return new UringFile(ring, fd, null)
  try {
    return new UringFile(ring, fd, await directOf(ring, fd, validPath(path), openFlags(flags), direct))
  } catch (error) {
    await ring.submit(ops.close(fd))
    throw error
  }
}
