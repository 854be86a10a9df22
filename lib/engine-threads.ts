/** The engine over node:fs, or over a caller's own functions of the same form. */
import fs from 'node:fs'
import { constants } from 'node:os'
import type { Engine, EngineBuffer, EngineOwner, EngineStats, FileFacts, OpenFile, Request } from './engine.js'
import { FSYNC_DATASYNC, Opcode } from './engine.js'
import { errnoError } from './errors.js'
import { HeapBuffer } from './heap-buffer.js'
import { RegisteredBuffer } from './registered-buffer.js'

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

/** Requests in flight beyond libuv's threads only wait there; this bounds how many wait. */
const capacity = 1023

/** How long a busy descriptor is left alone. */
const retryMs = 5

const { ECANCELED, EFBIG, EIO, ENOSYS } = constants.errno

/** A caller's own errors may have a code only, or nothing. */
function errnoOf(error: NodeJS.ErrnoException | null): number {
  return error?.errno ?? -(constants.errno[error?.code as keyof typeof constants.errno] ?? EIO)
}

export class ThreadsEngine implements Engine {
  readonly kind = 'threads'
  readonly capacity = capacity
  #submitted = 0
  #completed = 0
  #filesInUse = 0
  readonly #cancelled = new WeakSet<Request>()

  constructor(readonly owner: EngineOwner, readonly functions: FileFunctions = fs) {}

  start(request: Request): void {
    this.#submitted++
    request.slot = 0
    let starting = true
    const done: Done = (error, result = 0) => {
      if (starting) return process.nextTick(done, error, result) // a caller's fs may answer at once
      this.#completed++
      request.slot = -1
      request.error = error
      const cancelled = error === null && result === 0 && this.#cancelled.delete(request)
      const failed = cancelled ? -ECANCELED : errnoOf(error)
      this.owner.completed(request, error !== null || cancelled ? failed : result, 0)
      this.owner.batchEnded()
    }
    try {
      this.#run(request, done)
    } catch (error) {
      done(error as Error) // node:fs throws at once for arguments that it refuses
    }
    starting = false
  }

  #run(request: Request, done: Done): void {
    const { functions } = this
    const fd = request.file?.fd ?? -1
    const position = request.position < 0 ? null : request.position
    switch (request.opcode) {
      case Opcode.pollAdd: // a thread cannot wait for readiness: look again in a moment
        return void setTimeout(done, retryMs, null, 0)
      case Opcode.nop:
        return void setImmediate(done, null, 0)
      case Opcode.openat:
        return functions.open!(request.path!, ...request.openArguments!, done)
      case Opcode.close:
        return functions.close!(fd, done)
      case Opcode.fsync: {
        const data = request.opFlags === FSYNC_DATASYNC && functions.fdatasync != null
        return data ? functions.fdatasync!(fd, done) : functions.fsync!(fd, done)
      }
      case Opcode.read:
        return functions.read!(fd, bytesOf(request), 0, request.length, position, done)
      case Opcode.write:
      case Opcode.writev:
        return this.#write(request, fd, position, done)
      default:
        return void setImmediate(done, Object.assign(new Error('not on this engine'), { errno: -ENOSYS, code: 'ENOSYS' }))
    }
  }

  // It is enough that a caller's own fs brings one of write and writev.
  #write(request: Request, fd: number, at: number | bigint | null, done: Done): void {
    const { write, writev } = this.functions
    const position = at === null ? null : Number(at)
    // fs.write takes a bigint, and a number that is no safe integer, for no position at all: in silence.
    if (position !== null && position > Number.MAX_SAFE_INTEGER) return done(errnoError(-EFBIG, 'write'))
    if (request.opcode === Opcode.writev) return writev!.call(this.functions, fd, request.vector, position, done)
    const bytes = bytesOf(request)
    if (write != null) return write.call(this.functions, fd, bytes, 0, request.length, position, done)
    return writev!.call(this.functions, fd, [bytes], position, done)
  }

  /** A thread cannot be stopped; a caller's own function even less. It ends when it ends. */
  cancel(request: Request): void {
    if (request.opcode === Opcode.nop) this.#cancelled.add(request)
  }

  readonly chainMax = 1

  flush(): void {
    // Nothing waits here.
  }

  hold(): void {
    // Nothing waits here.
  }

  release(): void {
    // Nothing waits here.
  }

  inspect(fd: number, done: (error: Error | null, facts: FileFacts) => void): void {
    const facts = { regular: false, append: false, size: 0, position: -1 }
    if (this.functions !== fs) return done(null, facts) // a caller's own fs: read as fs streams do
    fs.fstat(fd, (error, stats) => {
      done(error, error !== null ? facts : { ...facts, regular: stats.isFile(), size: stats.size })
    })
  }

  install(fd: number): OpenFile {
    this.#filesInUse++
    return { fd, index: -1 }
  }

  using(): boolean {
    return false // files are looked up when an operation starts
  }

  registerBuffer(bytes: Uint8Array): EngineBuffer {
    return new RegisteredBuffer(null, -1, bytes, () => {})
  }

  forget(): void {
    this.#filesInUse--
  }

  seek(): void {
    // Nothing to move: without a known position, reads and writes here are at the file's own.
  }

  acquireBuffer(bytes: number): EngineBuffer {
    return new HeapBuffer(bytes)
  }

  readonly aligns = false

  acquirePages(bytes: number): EngineBuffer {
    return this.acquireBuffer(bytes)
  }

  /** V8 starts large ArrayBuffers behind malloc's header, 16 bytes into a page; where it does not, copies are slower. */
  pageOffset(): number {
    return 16
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

function bytesOf(request: Request): Uint8Array {
  return (request.memory ?? request.buffer!.bytes!).subarray(request.offset, request.offset + request.length)
}
