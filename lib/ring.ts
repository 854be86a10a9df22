/** Rings: operations of callers, one by one and in batches. */
import { onAbort, validateSignal } from './abort.js'
import { Admission } from './admission.js'
import { Batch, endOfChain, hang, settleInBatch } from './batch.js'
import type { BufferPool, FixedBuffer } from './buffers.js'
import { CancelOperation } from './control-operations.js'
import { abortError, invalidArgType, invalidState } from './errors.js'
import { LongOperation } from './long-operation.js'
import type { Memory } from './memory.js'
import type { Monitor } from './monitor.js'
import type { Completion, CompletionCallback } from './operation.js'
import { Operation, settle } from './operation.js'
import type { EngineChoice, RingOptions } from './options.js'
import { engineChoice, validateInteger } from './options.js'
import type { RegisteredFile } from './ring-tables.js'
import { registerBuffers, registerFiles, unregisterBuffers, unregisterFiles, updateFiles } from './ring-tables.js'

/** Of operations in flight, of which no more than its capacity are at once. */
export class Ring extends Admission {
  /** Open pools with buffers of this ring. */
  readonly #pools = new Set<BufferPool>()
  #closing: Promise<void> | null = null

  /**
   * @throws ERR_OUT_OF_RANGE, ERR_INVALID_ARG_TYPE or ERR_INVALID_ARG_VALUE for options, ERR_URING_UNAVAILABLE with engine
   * 'uring' where io_uring is refused, and an error of `io_uring_setup` or `io_uring_register` where only this kind of
   * ring is
   */
  constructor(options: RingOptions = {}) {
    super(options)
  }

  /** The ring of this thread, made at the first call: one for each engine. @throws ERR_URING_UNAVAILABLE, ERR_INVALID_ARG_VALUE */
  static shared(engine: EngineChoice = 'auto'): Ring {
    const choice = engineChoice(engine)
    return sharedRings.get(choice) ?? share(choice)
  }

  /**
   * Submits one operation; many submitted in one turn of the event loop enter the kernel together. The promise
   * rejects in Node's shape when the operation fails, and with AbortError when `signal` ended it: after its
   * completion, for until then the operation owns its memory. Where the signal came too late for that, the error's
   * `bytesWritten` or `bytesRead` tells what was moved all the same. With ERR_INVALID_STATE for an operation that was
   * submitted before, and after `close`.
   */
  submit(operation: Operation, options?: { signal?: AbortSignal | undefined }): Promise<Completion>
  /** The same with a callback, which costs half as much. @throws ERR_INVALID_STATE, ERR_INVALID_ARG_TYPE */
  submit(operation: Operation, callback: CompletionCallback): void
  submit(operation: Operation, how?: { signal?: AbortSignal | undefined } | CompletionCallback): Promise<Completion> | void {
    if (typeof how === 'function') {
      this.#check(operation)
      return this.#begin(operation, how)
    }
    const signal = how?.signal
    if (signal !== undefined) {
      return this.#abortable([operation], signal, () => {
        this.#check(operation) // the signal must not end what another call has submitted
        return this.submit(operation)
      })
    }
    return new Promise((resolve, reject) => {
      this.#check(operation)
      operation.resolve = resolve
      operation.reject = reject
      this.#begin(operation, settle)
    })
  }

  /** Ends operations with the signal. Rejects after their completions, when what they opened is closed again. */
  async #abortable<T>(operations: readonly Operation[], signal: AbortSignal, submit: () => Promise<T>): Promise<T> {
    validateSignal(signal)
    if (signal.aborted) throw abortError(signal.reason)
    const submitted = submit()
    const end = (): void => {
      for (const operation of operations) operation.aborted = signal
      for (const operation of operations) this.cancel(operation)
    }
    const forget = onAbort(signal, end)
    if (signal.aborted) end() // a subscriber of the submission did it
    try {
      return await submitted
    } catch (error) {
      // What it says of itself is nobody's business: there is an error already.
      await Promise.allSettled(operations.map(({ unclaimed }) => unclaimed === null ? null : this.submit(unclaimed)))
      throw error
    } finally {
      forget()
    }
  }

  /**
   * Submits operations together, with one system call if they fit into the submission queue; links between them
   * (`link`, `hardlink`, `drain`) hold. Resolves with all completions in the order of the operations: a failed one
   * has a negative errno as its result, and those that were linked behind it -ECANCELED. Rejects with
   * ERR_OUT_OF_RANGE for a chain that is longer than the submission queue; nothing is submitted then. Rejects with
   * AbortError when `signal` ended it, after all completions: those are the error's `completions`, but files that
   * were opened are closed again.
   */
  async batch(operations: readonly Operation[], { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Completion[]> {
    if (!Array.isArray(operations)) throw invalidArgType('operations', 'an instance of Array', operations)
    if (operations.length === 0) return []
    const submit = (): Promise<Completion[]> => this.#submitBatch(operations)
    return signal === undefined ? submit() : this.#abortable(operations, signal, submit)
  }

  #submitBatch(operations: readonly Operation[]): Promise<Completion[]> {
    const span = this.#claim(operations)
    operations[operations.length - 1].unlink()
    return new Promise((resolve, reject) => {
      const batch = new Batch(operations, resolve, reject)
      for (let i = 0; i < operations.length; i++) {
        operations[i].batch = batch
        operations[i].place = i
        this.#prepare(operations[i], settleInBatch)
      }
      this.#startAll(span === operations.length ? operations : operations.flatMap(unfolded))
    })
  }

  /** Starts operations whose links hold, and lets the kernel see them together. */
  #startAll(operations: readonly Operation[]): void {
    this.engine.hold()
    for (let head = 0, end: number; head < operations.length; head = end) {
      end = endOfChain(operations, head)
      if (end - head > 1) hang(operations.slice(head, end))
      this.start(operations[head])
    }
    this.engine.release()
    this.engine.flush()
  }

  /**
   * Checks all of a batch, and that none comes twice; one that is refused leaves every operation as it was.
   * @returns how many they are to the kernel
   */
  #claim(operations: readonly Operation[]): number {
    let claimed = 0
    let span = 0
    let chain = 0
    try {
      for (const operation of operations) {
        this.#check(operation)
        operation.callback = settleInBatch // a second time it is one that was submitted before
        claimed++
        chain += operation.span
        if (operation.linksNext && claimed < operations.length) continue
        if (chain > 1) validateInteger(chain, 'length of the chain', 1, this.engine.chainMax)
        span += chain
        chain = 0
      }
      return span
    } catch (error) {
      while (claimed > 0) operations[--claimed].callback = null
      throw error
    }
  }

  #begin(operation: Operation, callback: CompletionCallback): void {
    operation.unlink()
    this.#prepare(operation, callback)
    if (operation.span > 1) return this.#startAll(unfolded(operation))
    if (operation instanceof CancelOperation && this.full) operation.hurry(this)
    this.start(operation)
  }

  #check(operation: Operation): void {
    if (!(operation instanceof Operation)) throw invalidArgType('operation', 'an operation made by ops', operation)
    if (operation.callback !== null) throw invalidState('an operation is submitted once')
    operation.check()
    if (operation.span > 1) validateInteger(operation.span, 'operations', 1, this.engine.chainMax)
    this.uses.refuseClosed()
  }

  #prepare(operation: Operation, callback: CompletionCallback): void {
    operation.callback = callback
    operation.ring = this
    operation.submitted()
  }

  /** Records the latencies of operations from here on, until the monitor is stopped. */
  monitor(): Monitor {
    return this.watch.monitor()
  }

  /**
   * Makes open descriptors known to the kernel once, instead of at each operation. They must stay open until they are
   * unregistered. Where the ring's table is full (it has 256 places, which streams and UringFiles use, too), and before
   * Linux 6.14, operations use the descriptor as it is.
   * @throws EBADF
   */
  registerFiles(fds: readonly number[]): RegisteredFile[] {
    this.uses.refuseClosed()
    return registerFiles(this.engine, fds)
  }

  /**
   * Puts other descriptors in the places of registered files.
   * @throws EBADF, and ERR_INVALID_STATE while an operation on one of them has not ended
   */
  updateFiles(files: readonly RegisteredFile[], fds: readonly number[]): void {
    this.uses.refuseClosed()
    updateFiles(this.engine, files, fds, this.queue.first)
  }

  /** The opposite of `registerFiles`; operations on them fail with EBADF from here on. @throws ERR_INVALID_STATE as `updateFiles` */
  unregisterFiles(files: readonly RegisteredFile[]): void {
    unregisterFiles(this.engine, files, this.queue.first)
  }

  /**
   * Makes memory of one's own known to the kernel, for `ops.readFixed` and `ops.writeFixed`. It must be shared memory
   * (SharedArrayBuffer): any other can be detached while the kernel has it. At most 256 buffers, 1 GiB each. Linux 5.13.
   * @throws ERR_INVALID_ARG_VALUE, ENOMEM (RLIMIT_MEMLOCK), ENOBUFS when there are too many
   */
  registerBuffers(memories: readonly Memory[]): FixedBuffer[] {
    this.uses.refuseClosed()
    return registerBuffers(this.engine, memories)
  }

  /** The opposite, as soon as no operation has them any more; the same as `release` of each. */
  unregisterBuffers(buffers: readonly FixedBuffer[]): void {
    unregisterBuffers(this.engine, buffers)
  }

  /** A pool takes buffers of this ring. @internal */
  addPool(pool: BufferPool): void {
    this.uses.refuseClosed()
    this.#pools.add(pool)
  }

  /** @internal */
  removePool(pool: BufferPool): void {
    this.#pools.delete(pool)
  }

  /**
   * Takes no more operations, closes the pools that have buffers of this ring, waits for what is in flight, for streams
   * that are closing and for buffers of those pools that are still held, and gives everything back to the kernel.
   * Rejects with ERR_INVALID_STATE while other streams use the ring.
   */
  async close(): Promise<void> {
    if (this.#closing === null) {
      this.uses.close()
      this.#closing = this.#close()
    }
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    for (const [choice, ring] of sharedRings) if (ring === this) sharedRings.delete(choice)
    const pools = [...this.#pools]
    for (const pool of pools) pool.close()
    await this.idle()
    for (const pool of pools) await pool.returned()
    await this.engine.close()
  }
}

/** The ring that options name, or the thread's. @throws ERR_INVALID_ARG_TYPE */
export function ringOf({ ring, engine }: { ring?: Ring | undefined, engine?: EngineChoice | undefined }): Ring {
  if (ring === undefined) return Ring.shared(engine)
  if (!(ring instanceof Ring)) throw invalidArgType('options.ring', 'an instance of Ring', ring)
  return ring
}

/** What an operation is to the kernel. */
function unfolded(operation: Operation): readonly Operation[] {
  return operation instanceof LongOperation ? operation.unfold() : [operation]
}

const sharedRings = new Map<EngineChoice, Ring>()

/** By what was asked for and by what came of it: 'auto' is one of the other two. */
function share(choice: EngineChoice): Ring {
  const made = new Ring({ engine: choice })
  const { kind } = made.engine
  const ring = sharedRings.get(kind) ?? made // 'auto' came to threads, which were asked for by name before
  for (const name of kind === 'uring' ? ['auto', kind] as const : [choice, kind]) sharedRings.set(name, ring)
  return ring
}
