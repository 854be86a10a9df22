/** The engine over node:fs, or over a caller's own functions of the same form. */
import fs from 'node:fs'
import type { Engine, EngineBuffer, EngineOwner, EngineStats, FileFacts, OpenFile, Request } from './engine.js'
import { FSYNC_DATASYNC, Opcode } from './engine.js'
import { HeapBuffer } from './heap-buffer.js'

/** What of node:fs a caller may bring (`options.fs`). */
export type FileFunctions = Partial<Pick<typeof fs,
  'open' | 'close' | 'read' | 'write' | 'writev' | 'fsync' | 'fdatasync' | 'fstat'>>

type Done = (error: NodeJS.ErrnoException | null, result?: number) => void

/** Requests in flight beyond libuv's threads only wait there; this bounds how many wait. */
const capacity = 1023

const ECANCELED = -125
const EIO = -5
const ENOSYS = -38

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
      const failed = cancelled ? ECANCELED : error?.errno ?? EIO
      this.owner.completed(request, error !== null || cancelled ? failed : result, 0)
      this.owner.batchEnded()
    }
    this.#run(request, done)
    starting = false
  }

  #run(request: Request, done: Done): void {
    const { functions } = this
    const fd = request.file?.fd ?? -1
    const position = request.position < 0 ? null : request.position
    switch (request.opcode) {
      case Opcode.nop:
        return void setImmediate(done, null, 0)
      case Opcode.openat:
        return functions.open!(request.path!, request.position, request.length, done)
      case Opcode.close:
        return functions.close!(fd, done)
      case Opcode.fsync: {
        const data = request.position === FSYNC_DATASYNC && functions.fdatasync !== undefined
        return data ? functions.fdatasync!(fd, done) : functions.fsync!(fd, done)
      }
      case Opcode.read:
        return functions.read!(fd, bytesOf(request), 0, request.length, position, done as never)
      case Opcode.write:
        return this.#write(request, fd, position, done)
      default:
        return void setImmediate(done, Object.assign(new Error('not on this engine'), { errno: ENOSYS }))
    }
  }

  // It is enough that a caller's own fs brings one of write and writev.
  #write(request: Request, fd: number, position: number | null, done: Done): void {
    const { write, writev } = this.functions
    const bytes = bytesOf(request)
    if (write !== undefined) return write(fd, bytes, 0, request.length, position, done)
    return writev!.call(this.functions, fd, [bytes], position as number, done)
  }

  /** A thread cannot be stopped; a caller's own function even less. It ends when it ends. */
  cancel(request: Request): void {
    if (request.opcode === Opcode.nop) this.#cancelled.add(request)
  }

  flush(): void {
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

  forget(): void {
    this.#filesInUse--
  }

  seek(): void {
    // Nothing to move: without a known position, reads and writes here are at the file's own.
  }

  acquireBuffer(bytes: number): EngineBuffer {
    return new HeapBuffer(bytes)
  }

  stats(): EngineStats {
    return {
      submitted: this.#submitted, completed: this.#completed, enters: 0, wakeups: 0, largestBatch: 1,
      buffersInUse: 0, filesInUse: this.#filesInUse
    }
  }

  close(): void {
    // Nothing is held.
  }
}

function bytesOf(request: Request): Uint8Array {
  return (request.memory ?? request.buffer!.bytes!).subarray(request.offset, request.offset + request.length)
}
