/** The engine over io_uring: descriptors written to shared memory, completions read from it. */
import fs from 'node:fs'
import { ArenaBuffer } from './arena-buffer.js'
import { Cancels } from './cancels.js'
import { Descriptors } from './descriptors.js'
import type { Engine, EngineBuffer, EngineOwner, EngineStats, FileFacts, OpenFile, Request } from './engine.js'
import { noFacts, Opcode } from './engine.js'
import { errnoError, ringClosed } from './errors.js'
import { closeByThread } from './file-calls.js'
import { HeapBuffer } from './heap-buffer.js'
import { closesLate, keepsFiles } from './kernel.js'
import type { NativeAddon, NativeEngine, Setup, SharedMemory } from './native.js'
import { arenaBytes, completionWords, Counter, descriptorWords, inspectFile, setupWords, Word } from './native.js'
import type { WorkerLimits } from './options.js'
import { OwnFile } from './own-file.js'
import { explainPolled } from './polled.js'
import { RegisteredBuffer } from './registered-buffer.js'
import { IORING_SETUP_IOPOLL, IORING_SETUP_SQPOLL } from './setup.js'

/**
 * During long synchronous code, submit when this many are staged: the disk may as well begin. With 1024 NOPs in
 * flight, 64 cost 235 ns each, 256 cost 220; for one in flight it made no difference.
 */
const stagedMax = 256

/**
 * Where a disk is at work (`Word.late`), what is staged is submitted as soon as it is as many as the kernel has left, or a large
 * one: a virtual disk reports all that it had at once, and would have nothing to do until all of that is answered for. With 32
 * direct reads of 4 KiB in flight each took 14.6 us, so 12.5 (with 8 at least 13.1); a GiB read directly and hashed took 1.05 s,
 * so 0.71 (2026-11-29).
 */
const earlyLeast = 4
const earlyBytes = 64 * 1024

/** A polling thread that serves several rings takes so many operations of one at a time, and ends links there. */
const sqThreadTakes = 8

/** A close that waits for nothing and has nothing waiting for it, so that another may do it. */
function isAlone({ opcode, flags }: Request): boolean {
  return opcode === Opcode.close && flags === 0
}

export class UringEngine implements Engine {
  readonly kind = 'uring'
  readonly capacity: number
  readonly chainMax: number
  readonly #native: NativeEngine
  readonly #memory: SharedMemory
  readonly #descriptors: Descriptors
  readonly #mask: number
  /** By slot: what is in flight, and so keeps its file and its memory. */
  readonly #requests: (Request | null)[]
  readonly #freeSlots: Int32Array
  #freeCount: number
  readonly #cancels: Cancels
  #dispatching = false
  /** How many hold what is staged back. */
  #held = 0
  #closed = false
  #buffersInUse = 0
  #unused: (() => void) | null = null
  /** All of the arena's memory, for this library's eyes only; null where the host forbids such views. */
  #arena: Buffer | null | undefined
  /** Bytes of it that a thread has touched, or is about to. */
  #populated = 0
  /** IORING_SETUP_* that hold. */
  readonly setupFlags: number
  /** The ring's own descriptor; -1 when it is closed. */
  ringFd: number
  /** Operations are polled for: not every file can do that. */
  readonly #polled: boolean
  readonly #closesLate = closesLate()
  readonly #keepsFiles: boolean
  #filesInUse = 0

  /** @throws an error of `io_uring_setup` or `io_uring_register` */
  constructor(readonly addon: NativeAddon, readonly owner: EngineOwner, setup: Setup, workers: WorkerLimits | null) {
    this.#native = new addon.Engine()
    this.#cancels = new Cancels(this.#native)
    const granted = this.#native.open(setupWords(setup))
    if (granted < 0) throw errnoError(granted, 'io_uring_setup')
    const { sqEntries, setupFlags, features, ringFd } = this.#native.facts()
    this.#keepsFiles = keepsFiles(features)
    this.setupFlags = setupFlags
    this.ringFd = ringFd
    this.#polled = (setupFlags & IORING_SETUP_IOPOLL) !== 0
    this.chainMax = Math.min(sqEntries, granted - 1, (setupFlags & IORING_SETUP_SQPOLL) !== 0 ? sqThreadTakes : Infinity)
    if (workers !== null) this.#limit(workers)
    this.capacity = granted - 1 // the place that binding/engine.h keeps for a cancel
    this.#mask = granted - 1
    const header = new Uint32Array(Word.count)
    this.#memory = {
      header,
      descriptors: new Uint32Array(granted * descriptorWords),
      extras: new Uint32Array(granted),
      completions: new Int32Array(granted * completionWords),
      counters: new Float64Array(Counter.count),
      hasRef: () => header[Word.referenced] !== 0
    }
    this.#descriptors = new Descriptors(this, this.#native, this.#memory)
    this.#requests = new Array<Request | null>(this.capacity).fill(null)
    this.#freeSlots = Int32Array.from({ length: this.capacity }, (_, i) => this.capacity - 1 - i)
    this.#freeCount = this.capacity
    const error = this.#native.start(this.#memory, () => this.#dispatch())
    if (error < 0) throw errnoError(error, setup.wakeup === 'thread' ? 'pthread_create' : 'epoll_ctl')
  }

  /** @throws an error of `io_uring_register` */
  #limit({ bounded = 0, unbounded = 0 }: WorkerLimits): void {
    const error = this.#native.limitWorkers(bounded, unbounded)
    if (error >= 0) return
    this.#native.close(() => {})
    throw errnoError(error, 'io_uring_register')
  }

  start(request: Request): void {
    if (this.#closesLate && isAlone(request) && this.#held === 0) return this.#closeByThread(request)
    const slot = this.#freeSlots[--this.#freeCount]
    this.#requests[slot] = request
    request.slot = slot
    const { header } = this.#memory
    this.#descriptors.write(header[Word.staged] & this.#mask, request)
    header[Word.staged]++
    if (header[Word.referenced] === 0) this.#native.reference()
    if (this.#held === 0 && this.#isDue(request)) this.#native.submit()
  }

  /** Whether what is staged is submitted now. While completions are dispatched, the native side does it right after. */
  #isDue({ length }: Request): boolean {
    const { header } = this.#memory
    const staged = header[Word.staged] - header[Word.taken]
    if (header[Word.late] === 0) return staged >= stagedMax && !this.#dispatching
    return length >= earlyBytes || (staged >= earlyLeast && staged >= this.capacity - this.#freeCount - staged)
  }

  #closeByThread(request: Request): void {
    const { fd } = request.file!
    const closed = (result: number): void => {
      this.owner.completed(request, result, 0)
      this.owner.batchEnded()
    }
    // In a worker node:fs warns of closing what it has not opened, and closes again in the end what others have closed.
    if (this.#native.disown(fd)) closeByThread(this.addon, fd, closed)
    else fs.close(fd, error => closed(error?.errno ?? 0))
  }

  /** Hands a batch of completions out. When a callback throws, the native side calls again for the rest. */
  #dispatch(): void {
    const { header, completions } = this.#memory
    header[Word.calls]++
    this.#dispatching = true
    try {
      while (header[Word.dispatched] < header[Word.completed]) {
        const at = header[Word.dispatched]++ * completionWords
        const slot = completions[at]
        const request = this.#requests[slot]!
        this.#requests[slot] = null
        this.#freeSlots[this.#freeCount++] = slot
        request.slot = -1
        this.#cancels.ended(request)
        const result = completions[at + 1]
        if (this.#polled) explainPolled(request, result)
        this.owner.completed(request, result, completions[at + 2])
      }
      this.owner.batchEnded()
    } finally {
      this.#dispatching = false
    }
  }

  cancel(request: Request): void {
    if (request.slot >= 0) this.#cancels.ask(request)
  }

  flush(): void {
    if (!this.#dispatching) this.#native.submit()
  }

  hold(): void {
    this.#held++
  }

  release(): void {
    this.#held--
  }

  crowded(waiting: boolean): void {
    this.#memory.header[Word.crowded] = Number(waiting)
  }

  inspect(fd: number, done: (error: Error | null, facts: FileFacts) => void, justOpened = false): void {
    const facts = inspectFile(this.addon, fd, justOpened)
    if (typeof facts === 'number') done(errnoError(facts, 'fstat'), noFacts)
    else done(null, facts)
  }

  install(fd: number): OpenFile {
    this.#filesInUse++
    return { fd, index: this.#keepsFiles ? -1 : this.#native.installFile(fd), engine: this }
  }

  installLater(fd: number): OpenFile {
    if (this.#keepsFiles) return this.install(fd)
    this.#filesInUse++
    return new OwnFile(fd, this, this.#native)
  }

  using(file: OpenFile): boolean {
    return this.#requests.some(request => request?.file === file)
  }

  registerBuffer(bytes: Uint8Array): EngineBuffer {
    if (this.#closed) throw ringClosed()
    const index = this.#native.registerBuffer(bytes)
    if (index < 0) throw errnoError(index, 'io_uring_register')
    return new RegisteredBuffer(this, index, bytes, this.#unregisterBuffer)
  }

  readonly #unregisterBuffer = (index: number): void => {
    if (!this.#closed) this.#native.unregisterBuffer(index)
  }

  forget(file: OpenFile): void {
    this.#filesInUse--
    if (file.index >= 0 && !this.#closed) this.#native.removeFile(file.index)
  }

  readonly seeks = true

  seek(fd: number, position: number): void {
    this.addon.seek(fd, position)
  }

  advance(fd: number, bytes: number): number {
    return this.addon.advance(fd, bytes)
  }

  acquireBuffer(bytes: number): EngineBuffer {
    return this.#arenaBuffer(bytes) ?? new HeapBuffer(bytes)
  }

  async populate(bytes: number): Promise<void> {
    const wanted = Math.min(bytes, arenaBytes)
    if (this.#arena === null || wanted <= this.#populated) return
    this.#populated = wanted
    await new Promise<void>(resolve => this.#native.populate(wanted, resolve)) // before #canLease, which touches the first of it
  }

  readonly aligns = true

  acquirePages(bytes: number): EngineBuffer {
    return this.#arenaBuffer(bytes) ?? new HeapBuffer(bytes, memory => this.pageOffset(memory))
  }

  #arenaBuffer(bytes: number): EngineBuffer | null {
    if (this.#closed) throw ringClosed()
    const offset = this.#canLease() ? this.#native.acquireBuffer(bytes) : -1
    if (offset < 0) return null
    this.#buffersInUse++
    return new ArenaBuffer(this, this.#native, offset, bytes, this.#freed)
  }

  readonly #freed = (): void => {
    this.#buffersInUse--
    if (this.#buffersInUse === 0) this.#unused?.()
  }

  /** Some hosts (Electron) forbid ArrayBuffers over memory that is not V8's own; so does the variable, for tests. */
  #canLease(): boolean {
    if (this.#arena !== undefined) return this.#arena !== null
    const offset = this.#native.acquireBuffer(1)
    if (offset < 0) return false
    this.#native.releaseBuffer(offset)
    this.#arena = process.env.URING_STREAMS_NO_EXTERNAL_BUFFERS ? null : this.#native.lease(0, arenaBytes)
    return this.#arena !== null
  }

  /** @internal */
  get arena(): Buffer {
    return this.#arena!
  }

  pageOffset(memory: Uint8Array): number {
    return this.addon.pageOffset(memory)
  }

  stats(): EngineStats {
    const { counters } = this.#memory
    return {
      submitted: counters[Counter.submitted],
      completed: counters[Counter.completed],
      enters: counters[Counter.enters],
      wakeups: counters[Counter.wakeups],
      largestBatch: counters[Counter.largestBatch],
      buffersInUse: this.#buffersInUse,
      filesInUse: this.#closed ? 0 : this.#filesInUse
    }
  }

  async close(): Promise<void> {
    // Chunks that another ring still writes.
    if (this.#buffersInUse > 0) await new Promise<void>(resolve => { this.#unused = resolve })
    this.#closed = true
    this.#cancels.forget()
    this.ringFd = -1
    return new Promise(resolve => this.#native.close(resolve))
  }
}
