/** The engine over node:fs, or over a caller's own functions of the same form. */
import fs from 'node:fs'
import type { Engine, EngineBuffer, EngineOwner, EngineStats, FileFacts, OpenFile, Request } from './engine.js'
import { FSYNC_DATASYNC, noFacts, Opcode, operationName, RWF_DSYNC } from './engine.js'
import { errnoError, errnoOf } from './errors.js'
import { threadCall } from './thread-calls.js'
import { HeapBuffer } from './heap-buffer.js'
import { loadNative } from './native.js'
import type { QueueSizes } from './options.js'
import { RegisteredBuffer } from './registered-buffer.js'
import { ThreadChains } from './thread-chains.js'
import { directoriesOf, numbered, pathOf } from './thread-directories.js'
import { ThreadTimers } from './thread-timers.js'

type Done = (error: NodeJS.ErrnoException | null, result?: number) => void

/** What of node:fs a caller may bring (`options.fs`), in node:fs's form. */
export interface FileFunctions {
  open?(path: any, flags: any, mode: any, callback: (error: any, fd?: any) => void): void
  close?(fd: any, callback: (error?: any) => void): void
  read?(fd: any, buffer: any, offset: number, length: number, position: any, callback: (error: any, bytes?: any) => void): void
  write?(fd: any, buffer: any, offset: any, length: any, position: any, callback: (error: any, bytes?: any) => void): void
  writev?(fd: any, buffers: any, position: any, callback: (error: any, bytes?: any) => void): void
  fsync?(fd: any, callback: (error?: any) => void): void
  fdatasync?(fd: any, callback: (error?: any) => void): void
}

/** How long a busy descriptor is left alone. */
const retryMs = 5

const [EALREADY, ECANCELED, EFAULT, EFBIG, EINVAL, ENOENT, ENOSYS] =
  ['EALREADY', 'ECANCELED', 'EFAULT', 'EFBIG', 'EINVAL', 'ENOENT', 'ENOSYS'].map(errnoOf)

export class ThreadsEngine implements Engine {
  readonly kind = 'threads'
  readonly capacity: number
  readonly chainMax: number
  #submitted = 0
  #completed = 0
  #filesInUse = 0
  #slots = 0
  readonly #inFlight = new Map<number, Request>()
  readonly #timers = new ThreadTimers()
  readonly #chains = new ThreadChains(
    (request, limit) => {
      if (limit !== null) this.#timers.limit(limit, () => this.#cancel(request))
      this.#begin(request)
    },
    request => {
      this.#timers.unlimit(request)
      this.#completeSoon(request, ECANCELED)
    },
    limit => this.#completeSoon(limit, this.#timers.unlimit(limit))
  )

  /** @param sizes rounded up to powers of two, as the kernel does. What is in flight beyond libuv's threads only waits there */
  constructor(readonly owner: EngineOwner, sizes: QueueSizes, readonly functions: FileFunctions = fs) {
    this.capacity = 2 ** Math.ceil(Math.log2(sizes.cqEntries)) - 1
    this.chainMax = Math.min(2 ** Math.ceil(Math.log2(sizes.entries)), this.capacity)
  }

  start(request: Request): void {
    this.#submitted++
    request.slot = this.#slots++
    this.#inFlight.set(request.slot, request)
    this.#chains.add(request)
  }

  #begin(request: Request): void {
    let starting = true
    const done: Done = (error, result = 0) => {
      if (starting) return process.nextTick(done, error, result) // a caller's fs may answer at once
      request.error = error ?? null
      const ended = error == null ? result : error.errno ?? errnoOf(error.code ?? '') // a caller's own may have neither
      this.#chains.ended(request, ended)
      this.#complete(request, ended)
    }
    try {
      this.#locate(request, done)
    } catch (error) {
      done(error as Error) // node:fs throws at once for arguments that it refuses
    }
    starting = false
  }

  #completeSoon(request: Request, result: number): void {
    setImmediate(() => this.#complete(request, result))
  }

  #complete(request: Request, result: number): void {
    this.#completed++
    this.#inFlight.delete(request.slot)
    request.slot = -1
    this.#timers.count(request)
    this.owner.completed(request, result, 0)
    this.owner.batchEnded()
  }

  /** Descriptors of a caller's own fs may be numbers of anything. */
  #locate(request: Request, done: Done): void {
    const directories = directoriesOf(request)
    if (directories.length === 0) return this.#run(request, done)
    if (process.platform !== 'linux' || this.functions !== fs) return void setImmediate(done, null, ENOSYS)
    this.#run(request, numbered(directories, done))
  }

  #run(request: Request, done: Done): void {
    const { functions } = this
    const fd = request.file?.fd ?? -1
    const position = request.position < 0 ? null : request.position
    switch (request.opcode) {
      case Opcode.pollAdd: // a thread cannot wait for readiness: look again in a moment
        return this.#timers.after(request, retryMs, done)
      case Opcode.nop:
        return void setImmediate(done, null, 0)
      case Opcode.timeout:
        return this.#timers.timeout(request, done)
      case Opcode.linkTimeout: // one that follows nothing
        return void setImmediate(done, null, EINVAL)
      case Opcode.cancel:
        return void setImmediate(done, null, this.#cancel(this.#inFlight.get(request.address)))
      case Opcode.openat:
        return functions.open!(pathOf(request), ...request.openArguments!, done)
      case Opcode.close:
        return functions.close!(fd, done)
      case Opcode.fsync: {
        const data = request.opFlags === FSYNC_DATASYNC && functions.fdatasync != null
        return data ? functions.fdatasync!(fd, done) : functions.fsync!(fd, done)
      }
      case Opcode.read:
        // fs.read answers a read of nothing by itself, whatever the descriptor.
        if (request.length === 0 && functions === fs) return fs.readv(fd, [bytesOf(request)], null, done)
        return functions.read!(fd, bytesOf(request), 0, request.length, position, done)
      case Opcode.write:
      case Opcode.writev:
        return this.#write(request, fd, position, durably(request, fd, done))
      default: {
        const call = threadCall(request)
        if (call === undefined) return void setImmediate(done, null, ENOSYS)
        call(request, done)
      }
    }
  }

  // It is enough that a caller's own fs brings one of write and writev.
  #write(request: Request, fd: number, at: number | bigint | null, done: Done): void {
    const { write, writev } = this.functions
    const position = at === null ? null : Number(at)
    // fs.write takes a bigint, and a number that is no safe integer, for no position at all: in silence.
    if (position !== null && position > Number.MAX_SAFE_INTEGER) return done(errnoError(EFBIG, 'write'))
    const nothing = this.functions === fs && request.vector?.length === 0 // which fs.writev answers by itself
    if (request.opcode === Opcode.writev && !nothing) return writev!.call(this.functions, fd, request.vector, position, done)
    const bytes = nothing ? new Uint8Array(0) : bytesOf(request)
    if (write != null) return write.call(this.functions, fd, bytes, 0, request.length, position, done)
    return writev!.call(this.functions, fd, [bytes], position, done)
  }

  cancel(request: Request): void {
    if (request.slot >= 0) this.#cancel(request)
  }

  /** A thread cannot be stopped; a caller's own function even less: it ends when it ends. What has not begun never will. */
  #cancel(request: Request | undefined): number {
    if (request === undefined) return ENOENT
    if (!this.#chains.has(request)) return ENOENT // it is about to complete
    if (this.#chains.runs(request)) return this.#timers.stop(request, ECANCELED) ? 0 : EALREADY
    this.#chains.remove(request)
    return 0
  }

  flush(): void {
    // Nothing waits here.
  }

  hold(): void {
    // Nothing waits here.
  }

  release(): void {
    // Nothing waits here.
  }

  crowded(): void {
    // Nothing goes on by itself.
  }

  inspect(fd: number, done: (error: Error | null, facts: FileFacts) => void): void {
    if (this.functions !== fs) return done(null, noFacts) // a caller's own fs: read as fs streams do
    fs.fstat(fd, (error, stats) => {
      done(error, error !== null ? noFacts : { ...noFacts, regular: stats.isFile(), size: stats.size })
    })
  }

  install(fd: number): OpenFile {
    this.#filesInUse++
    return { fd, index: -1 }
  }

  installLater(fd: number): OpenFile {
    return this.install(fd)
  }

  /** Also where it could not matter: not everything that is in flight has begun. */
  using(file: OpenFile): boolean {
    for (const request of this.#inFlight.values()) if (request.file === file) return true
    return false
  }

  registerBuffer(bytes: Uint8Array): EngineBuffer {
    return new RegisteredBuffer(null, -1, bytes, () => {})
  }

  forget(): void {
    this.#filesInUse--
  }

  /** Direct IO alone is at positions; other reads and writes without one are at the file's own. */
  /** Node has no call for it. */
  get seeks(): boolean {
    return this.aligns
  }

  seek(fd: number, position: number): void {
    const addon = loadNative()
    if (!(addon instanceof Error)) addon.seek(fd, position)
  }

  advance(fd: number, bytes: number): number {
    const addon = loadNative()
    return addon instanceof Error ? -1 : addon.advance(fd, bytes)
  }

  acquireBuffer(bytes: number): EngineBuffer {
    return new HeapBuffer(bytes)
  }

  /** Its threads touch what they fill. */
  populate(): Promise<void> {
    return Promise.resolve()
  }

  /** Only the addon can tell where memory begins. */
  get aligns(): boolean {
    return !(loadNative() instanceof Error)
  }

  acquirePages(bytes: number): EngineBuffer {
    return new HeapBuffer(bytes, memory => this.pageOffset(memory))
  }

  /** V8 starts large ArrayBuffers behind malloc's header, 16 bytes into a page; where it does not, copies are slower. */
  pageOffset(memory: Uint8Array): number {
    const addon = loadNative()
    return addon instanceof Error ? 16 : addon.pageOffset(memory)
  }

  stats(): EngineStats {
    return {
      submitted: this.#submitted, completed: this.#completed, enters: 0, wakeups: 0, largestBatch: 1,
      buffersInUse: 0, filesInUse: this.#filesInUse
    }
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}

/** node:fs has no flags of single writes: what they promise, a sync behind the write keeps. */
function durably({ opFlags }: Request, fd: number, done: Done): Done {
  if (opFlags === 0) return done
  const sync = opFlags === RWF_DSYNC ? fs.fdatasync : fs.fsync
  return (error, bytes) => {
    if (error !== null) return done(error)
    // EINVAL: a pipe or a device has nothing to sync; the flags are nothing to it either.
    sync(fd, error => error === null || error.code === 'EINVAL' ? done(null, bytes) : done(error))
  }
}

/** @throws EFAULT, as the kernel has it, for memory that was detached since */
function bytesOf({ memory, buffer, offset, length, opcode }: Request): Uint8Array {
  const bytes = memory ?? buffer!.bytes!
  if (bytes.byteLength < offset + length) throw errnoError(EFAULT, operationName(opcode))
  return bytes.subarray(offset, offset + length)
}
