/** The file under a node stream: opened or given, made known to the ring, closed. */
import type { EventEmitter } from 'node:events'
import { close, constants, ftruncate } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { isMainThread } from 'node:worker_threads'
import { validateSignal } from './abort.js'
import type { DirectFile } from './direct.js'
import { openDirect } from './direct.js'
import type { FileFacts, OpenFile } from './engine.js'
import { adopt, FSYNC_DATASYNC, noFacts, Opcode, Request } from './engine.js'
import { errnoError, invalidArgType, notImplemented, ringClosed } from './errors.js'
import { fileMode, O_CLOEXEC, openFlags, openingFlags } from './open-flags.js'
import type { FileFunctions, StreamOptions } from './options.js'
import { validateFd, validateFunction } from './options.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'
import type { ReadSource } from './read-ahead.js'
import { Ring, ringOf } from './ring.js'
import type { RingUse } from './ring-uses.js'

type Callback = (error: Error | null, result: number) => void

/** A request with a callback, for what is done once a file. */
export class FileRequest extends Request {
  constructor(readonly syscall: string, readonly callback: Callback) {
    super()
  }

  override completed(result: number): void {
    if (result >= 0) this.callback(null, result)
    else this.callback(this.error ?? errnoError(result, this.syscall, this.path ?? undefined), result)
  }
}

/** A FileHandle or a UringFile. */
export interface FileHandleLike {
  readonly fd: number
  close(): Promise<void>
}

export interface StreamFileOptions extends StreamOptions {
  fd?: number | FileHandleLike | null | undefined
  flags?: string | number | undefined
  mode?: string | number | undefined
  fs?: FileFunctions | null | undefined
  autoClose?: boolean | undefined
  signal?: AbortSignal | null | undefined
}

/**
 * A FileHandle counts its users and closes when the last has gone. node:fs keeps the two methods for that to
 * itself, under symbols; where they are not found, the ring's own reference to the file has to do.
 */
function countUser(handle: FileHandleLike, change: 'kRef' | 'kUnref'): void {
  const prototype = Object.getPrototypeOf(handle)
  const symbol = Object.getOwnPropertySymbols(prototype).find(each => each.description === change)
  if (symbol !== undefined) prototype[symbol].call(handle)
}

function isFileHandle(value: unknown): value is FileHandleLike {
  return typeof value === 'object' && value !== null && 'fd' in value &&
    typeof (value as Partial<FileHandle>).createReadStream === 'function'
}

export class StreamFile {
  readonly ring: Ring
  /** Undefined when a descriptor was given instead. */
  readonly path: string | Buffer | undefined
  /** The descriptor that was given; its position counts where no `start` does. */
  readonly given: number | null = null
  readonly handle: (FileHandleLike & EventEmitter) | null = null
  /** Aborted before it began: there is nothing to open. A file that was given is taken nevertheless, to be closed. */
  readonly neverOpens: boolean
  #use: RingUse | null = null
  #isLeaving = false
  /** The ring had closed, or was closing, before: nothing is opened, and what was given is closed without it. */
  #isLate = false
  #handleClosed: (() => void) | null = null
  file: OpenFile | null = null
  /** The same file without the page cache, if that was asked for and is to be had. */
  direct: DirectFile | null = null
  /** What the stream does with it (O_RDONLY, O_WRONLY). */
  protected readonly access: number = constants.O_RDONLY
  facts: FileFacts = noFacts
  /** Opened to append. */
  #appends = false

  /**
   * @param needs what of `options.fs` the stream will call, beside open and close
   * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
   */
  constructor(path: PathLike | null | undefined, readonly options: StreamFileOptions, needs: readonly string[]) {
    const { fd, fs } = options
    if (fd == null) {
      if (fs != null) validateFunction(fs.open, 'options.fs.open')
      this.path = validPath(path)
    } else if (isFileHandle(fd)) {
      if (fs != null) throw notImplemented('FileHandle with fs')
      validateFd(fd.fd) // -1 once it is closed
      this.handle = fd as FileHandleLike & EventEmitter
      this.given = fd.fd
    } else {
      if (typeof fd !== 'number') throw invalidArgType('options.fd', 'of type number or an instance of FileHandle', fd)
      validateFd(fd)
      this.given = fd
    }
    if (fs != null) {
      for (const name of needs) validateFunction(fs[name as keyof FileFunctions], `options.fs.${name}`)
      if (options.autoClose !== false) validateFunction(fs.close, 'options.fs.close')
    }
    const { signal } = options
    // Here, and not by addAbortSignal: a stream that has been constructed opens its file, whatever its constructor throws then.
    if (signal != null) validateSignal(signal)
    this.neverOpens = this.given === null && signal?.aborted === true
    this.ring = fs != null && options.ring === undefined ? new Ring({ fs }) : ringOf(options)
  }

  /**
   * Begins to use the ring, and a given FileHandle, until `close`.
   * @param handleClosed the FileHandle's owner closes it
   */
  use(handleClosed: () => void): void {
    this.#isLate = this.ring.uses.isClosed
    this.#use = this.ring.uses.begin()
    if (this.handle === null) return
    countUser(this.handle, 'kRef')
    this.#handleClosed = handleClosed
    this.handle.on('close', handleClosed)
  }

  /** Opens the path, or takes the given descriptor; then `file` and `facts` are known. */
  open(flags: string | number, mode: string | number, opened: (error: Error | null) => void): void {
    if (this.#isLate) return opened(ringClosed())
    if (this.given !== null) return this.#attach(this.given, opened)
    this.openPath(this.path!, flags, mode, opened)
  }

  protected openPath(path: string | Buffer, flags: string | number, mode: string | number, opened: (error: Error | null) => void): void {
    const request = new FileRequest('open', (error, fd) => error !== null ? opened(error) : this.#attach(fd, opened))
    request.openArguments = [flags, mode]
    try {
      const asked = openFlags(flags)
      this.#appends = (asked & constants.O_APPEND) !== 0
      request.position = asked | O_CLOEXEC
      request.flags = openingFlags(asked)
      request.length = fileMode(mode)
    } catch (error) {
      // A caller's own fs may know flags of its own.
      if (this.options.fs == null) return opened(error as Error)
    }
    request.opcode = Opcode.openat
    // One that stays open is its owner's to close, who tells nobody: its number may be another file's by the end of the thread.
    request.opFlags = this.options.autoClose === false ? 0 : adopt
    request.path = path
    this.ring.start(request)
  }

  #attach(fd: number, opened: (error: Error | null) => void): void {
    const { engine } = this.ring
    const fresh = this.given === null
    engine.inspect(fd, (error, facts) => {
      if (error !== null) return fresh ? this.#closeDescriptor(fd, () => opened(error)) : opened(error)
      if (fresh && facts.regular) {
        facts.append = this.#appends
        facts.position = 0
      }
      this.facts = facts
      this.file = fresh ? engine.installLater(fd) : engine.install(fd)
      this.#goDirect(fd, opened)
    }, fresh)
  }

  #goDirect(fd: number, opened: (error: Error | null) => void): void {
    const { direct = false } = this.options
    if (direct === false) return opened(null)
    const settle = (error: Error | null, found: DirectFile | null): void => {
      this.direct = found
      if (found !== null) this.facts = found.facts
      opened(direct === 'prefer' ? null : error)
    }
    openDirect(this.ring, fd, this.access, this.path, settle)
  }

  /** Waits until everything written is on the disk. */
  sync(done: (error: Error | null) => void, dataOnly = false): void {
    const request = new FileRequest('fsync', done)
    request.opcode = Opcode.fsync
    request.opFlags = dataOnly ? FSYNC_DATASYNC : 0
    request.file = this.file
    this.ring.start(request)
  }

  /** Moves a given descriptor to where reading without a position would have left it. */
  leaveBehind(bytesRead: number): void {
    this.leaveAt(this.facts.position + bytesRead)
  }

  protected leaveAt(position: number): void {
    if (this.given === null || this.file === null || this.facts.position < 0) return
    this.ring.engine.seek(this.given, position)
  }

  /**
   * After a failed write: cuts off what later writes left beyond the last byte without a gap. What the file held
   * when it was opened stays.
   */
  cutAt(position: number, done: (error: Error | null) => void): void {
    const { file, facts, ring } = this
    const wanted = Math.max(facts.size, position)
    ring.engine.inspect(file!.fd, (error, now) => {
      if (error !== null || !now.regular || now.size <= wanted) done(error)
      else ftruncate(file!.fd, wanted, done)
    })
  }

  /** What a window of reads must know of it, once it is open. */
  get forReading(): ReadSource {
    return { ring: this.ring, file: this.direct?.file ?? this.file!, unit: this.direct?.unit, facts: this.facts }
  }

  /** The stream will close it, as soon as it is open and nothing is in flight any more. Once. */
  leave(): void {
    if (!this.#isLeaving) this.#use!.leaving()
    this.#isLeaving = true
  }

  /** Closes the descriptor. Nothing may be in flight on it. */
  close(done: (error: Error | null) => void): void {
    const closed = (error: Error | null): void => {
      this.#use!.left()
      done(error)
    }
    const { file, given, handle } = this
    if (file === null && (given === null || !this.#isLate)) return closed(null)
    if (this.direct !== null) return this.#closeDirect(() => this.close(done))
    this.file = null
    if (file !== null) this.ring.engine.forget(file)
    if (handle !== null) {
      countUser(handle, 'kUnref')
      handle.close().then(() => closed(null), closed)
      return
    }
    // A worker's node:fs closes in the end what it has opened and not closed itself, whosever the number is by then.
    const byNode = given !== null && !isMainThread && this.ring.engine.kind === 'uring'
    if (file === null || byNode) close(given!, error => closed(error ?? null))
    else this.#closeDescriptor(file.fd, closed)
  }

  #closeDirect(done: () => void): void {
    const { file } = this.direct!
    this.direct = null
    this.ring.engine.forget(file)
    this.#closeDescriptor(file.fd, done)
  }

  #closeDescriptor(fd: number, done: Callback): void {
    const request = new FileRequest('close', done)
    request.opcode = Opcode.close
    request.file = { fd, index: -1 }
    this.ring.start(request)
  }

  /** Closes the descriptor, or leaves one that was given open for its owner. Nothing may be in flight on it. */
  end(closes: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = (error: Error | null): void => error === null ? resolve() : reject(error)
      if (closes || this.given === null) this.close(ended)
      else if (this.direct === null) this.#giveBack(ended)
      else this.#closeDirect(() => this.#giveBack(ended))
    })
  }

  #giveBack(done: (error: null) => void): void {
    const { file, handle } = this
    this.file = null
    if (file !== null) this.ring.engine.forget(file)
    if (handle !== null) {
      handle.off('close', this.#handleClosed!)
      countUser(handle, 'kUnref')
    }
    this.#use!.left()
    done(null)
  }
}
