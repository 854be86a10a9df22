/** Rings: what may be in flight at once, and who waits. */
import { onAbort, validateSignal } from './abort.js'
import { createEngine } from './create-engine.js'
import type { Engine, EngineBuffer, EngineKind, EngineStats, Request } from './engine.js'
import { abortError, invalidArgType, invalidState } from './errors.js'
import type { Completion, CompletionCallback } from './operation.js'
import { Operation } from './operation.js'
import type { EngineChoice, RingOptions } from './options.js'
import { engineChoice, validateInteger } from './options.js'
import { RequestQueue } from './request-queue.js'

/** Above this share of the capacity windows shrink and no read is made ahead; */
const highWater = 3 / 4
/** below this one they may grow again. */
const lowWater = 1 / 2
const ECANCELED = -125

/** A stream's window on the ring, as far as the ring is concerned. */
export interface Window {
  /** Keep at most `share` operations in flight from now on. True if that is fewer than before. */
  shrink(share: number): boolean
}

/** A stream's use of a ring. */
export interface RingUse {
  /** It begins to close: from here on `close` waits for it instead of refusing. */
  leaving(): void
  /** It has closed its file. */
  left(): void
}

export interface RingStats extends EngineStats {
  engine: EngineKind
  /** Waiting for admission. */
  queued: number
  /** Given to the engine, not yet completed. */
  inFlight: number
  /** Completed ahead of its consumer, who has not taken it yet. */
  ready: number
  /** How many may be in flight or ready together: the completion queue's entries, but one for cancels. */
  capacity: number
  /** (inFlight + ready) / capacity */
  occupancy: number
  /** How often a stream's window was made smaller because the ring was near its capacity. */
  shrinks: number
}

/**
 * A ring of operations in flight, with one queue of those that wait. In flight and ready together never
 * exceed the completion queue, so the kernel always has a place for a completion.
 */
export class Ring {
  readonly #engine: Engine
  #inFlight = 0
  #ready = 0
  readonly #queue = new RequestQueue()
  readonly #windows = new Set<Window>()
  #pressure = false
  #shrinks = 0
  readonly #due: (() => void)[] = []
  #dueNext = 0
  #idle: (() => void)[] = []
  /** Streams that use this ring, and those that are closing their files. */
  #streams = 0
  #leaving = 0
  #closing: Promise<void> | null = null

  /**
   * @throws ERR_OUT_OF_RANGE for entries that are no integer ≥ 1, ERR_URING_UNAVAILABLE with engine 'uring' where
   * the kernel refuses
   */
  constructor(options: RingOptions = {}) {
    this.#engine = createEngine(this, options)
  }

  /** The ring of this thread, made at the first call. */
  static shared(engine: EngineChoice = 'auto'): Ring {
    const choice = engineChoice(engine)
    let ring = sharedRings.get(choice)
    if (ring === undefined) {
      ring = new Ring({ engine: choice })
      sharedRings.set(choice, ring)
    }
    return ring
  }

  /** What runs the operations: a layer for the windows, not for users. @internal */
  get engine(): Engine {
    return this.#engine
  }

  /**
   * Submits one operation; many submitted in one turn of the event loop enter the kernel together. The promise
   * rejects in Node's shape when the operation fails, and with AbortError when `signal` ended it: after its
   * completion, for until then the operation owns its memory.
   */
  submit(operation: Operation, options?: { signal?: AbortSignal }): Promise<Completion>
  /** The same with a callback, which costs half as much. */
  submit(operation: Operation, callback: CompletionCallback): void
  submit(operation: Operation, how?: { signal?: AbortSignal } | CompletionCallback): Promise<Completion> | void {
    if (typeof how === 'function') return this.#begin(operation, how)
    const signal = how?.signal
    if (signal !== undefined) return this.#submitAbortable(operation, signal)
    return new Promise((resolve, reject) => {
      this.#begin(operation, (error, result, flags) => {
        if (error === null) resolve({ result, flags })
        else reject(error)
      })
    })
  }

  async #submitAbortable(operation: Operation, signal: AbortSignal): Promise<Completion> {
    validateSignal(signal)
    if (signal.aborted) throw abortError(signal.reason)
    const submitted = this.submit(operation)
    const forget = onAbort(signal, () => {
      operation.aborted = signal
      this.cancel(operation)
    })
    try {
      return await submitted
    } catch (error) {
      // Nobody else knows of a file that was opened in spite of the signal.
      const { unclaimed } = operation
      if (unclaimed !== null) await this.submit(unclaimed)
      throw error
    } finally {
      forget()
    }
  }

  /**
   * Submits operations together, with one system call if they fit into the submission queue; links between them
   * (`link`, `hardlink`, `drain`) hold. Resolves with all completions in the order of the operations: a failed one
   * has a negative errno as its result, and those that were linked behind it -ECANCELED. Rejects with
   * ERR_OUT_OF_RANGE for a chain that is longer than the submission queue; nothing is submitted then.
   */
  async batch(operations: readonly Operation[]): Promise<Completion[]> {
    if (!Array.isArray(operations)) throw invalidArgType('operations', 'an instance of Array', operations)
    if (operations.length === 0) return []
    this.#claim(operations)
    operations[operations.length - 1].unlink()
    return new Promise(resolve => {
      const completions = new Array<Completion>(operations.length)
      let left = operations.length
      for (let i = 0; i < operations.length; i++) {
        this.#prepare(operations[i], (_error, result, flags) => {
          completions[i] = { result, flags }
          if (--left === 0) resolve(completions)
        })
      }
      this.#engine.hold()
      for (let head = 0, end: number; head < operations.length; head = end) {
        end = endOfChain(operations, head)
        if (end - head > 1) operations[head].chain = operations.slice(head, end)
        this.start(operations[head])
      }
      this.#engine.release()
      this.#engine.flush()
    })
  }

  /** Checks all of a batch, and that none comes twice; one that is refused leaves every operation as it was. */
  #claim(operations: readonly Operation[]): void {
    let claimed = 0
    try {
      for (; claimed < operations.length; claimed++) {
        this.#check(operations[claimed])
        operations[claimed].callback = unset // a second time it is one that was submitted before
      }
      for (let head = 0, end: number; head < operations.length; head = end) {
        end = endOfChain(operations, head)
        validateInteger(end - head, 'length of the chain', 1, this.#engine.chainMax)
      }
    } catch (error) {
      while (claimed > 0) operations[--claimed].callback = null
      throw error
    }
  }

  #begin(operation: Operation, callback: CompletionCallback): void {
    this.#check(operation)
    operation.unlink()
    this.#prepare(operation, callback)
    this.start(operation)
  }

  #check(operation: Operation): void {
    if (!(operation instanceof Operation)) throw invalidArgType('operation', 'an operation made by ops', operation)
    if (operation.callback !== null) throw invalidState('an operation is submitted once')
    operation.check()
    this.#refuseClosed()
  }

  #prepare(operation: Operation, callback: CompletionCallback): void {
    operation.callback = callback
    operation.begin(this.#acquire)
  }

  #refuseClosed(): void {
    // A stream that is closing still has its file to close.
    if (this.#closing !== null && this.#leaving === 0) throw invalidState('the ring is closed')
  }

  readonly #acquire = (bytes: number): EngineBuffer => this.#engine.acquireBuffer(bytes)

  /** Starts a request, or queues it behind those that came before. @internal */
  start(request: Request): void {
    this.#refuseClosed()
    if (this.#queue.first === null && this.#fits(request)) this.#admit(request)
    else this.#queue.push(request)
  }

  #fits({ chain }: Request): boolean {
    return this.#inFlight + this.#ready + (chain === null ? 1 : chain.length) <= this.#engine.capacity
  }

  /** Starts a request that nobody waits for yet, if there is room to spare. @internal */
  tryStart(request: Request): boolean {
    if (this.#queue.first !== null || this.#pressure) return false
    if (this.#inFlight + this.#ready >= this.#engine.capacity * highWater) {
      this.#press()
      return false
    }
    this.#admit(request)
    return true
  }

  #admit(request: Request): void {
    if (request.chain !== null) return this.#admitChain(request.chain)
    this.#inFlight++
    this.#engine.start(request)
    if (!this.#pressure && this.#inFlight + this.#ready > this.#engine.capacity * highWater) this.#press()
  }

  #admitChain(chain: Request[]): void {
    this.#engine.hold() // the kernel must get all of it at once
    for (const request of chain) {
      request.chain = null
      this.#admit(request)
    }
    this.#engine.release()
  }

  /** The engine's report of a completion. @internal */
  completed(request: Request, result: number, flags: number): void {
    this.#inFlight--
    try {
      request.completed(result, flags)
    } finally {
      this.#settle()
    }
  }

  /** Calls back at the end of this batch of completions, when all of them are known. @internal */
  afterBatch(callback: () => void): void {
    this.#due.push(callback)
  }

  /** The engine's report that a batch is over. A callback that throws is not called again. @internal */
  batchEnded(): void {
    while (this.#dueNext < this.#due.length) this.#due[this.#dueNext++]()
    this.#due.length = this.#dueNext = 0
  }

  /** After something ended or was taken: the next in the queue, and the pressure. */
  #settle(): void {
    while (this.#queue.first !== null && this.#fits(this.#queue.first)) {
      const request = this.#queue.first
      this.#queue.remove(request)
      this.#admit(request)
    }
    if (this.#pressure && this.#inFlight + this.#ready < this.#engine.capacity * lowWater) this.#pressure = false
    if (this.#idle.length > 0 && this.#isIdle) this.#becomeIdle()
  }

  /** A completion waits for its consumer. @internal */
  held(): void {
    this.#ready++
  }

  /** The consumer took it, or it was dropped. @internal */
  taken(): void {
    this.#ready--
    this.#settle()
  }

  /** Ends a request early. It still completes: at once if it was queued, else when the kernel says so. @internal */
  cancel(request: Request): void {
    if (request.waiter !== null) return this.cancel(request.waiter)
    if (request.queued) {
      this.#queue.remove(request)
      request.completed(ECANCELED, 0)
    } else {
      this.#engine.cancel(request)
    }
  }

  /** True while the ring is near its capacity: `write()` answers false and windows do not grow. @internal */
  get pressure(): boolean {
    return this.#pressure
  }

  /** @internal */
  addWindow(window: Window): void {
    this.#windows.add(window)
  }

  /** @internal */
  removeWindow(window: Window): void {
    this.#windows.delete(window)
  }

  #press(): void {
    this.#pressure = true
    const share = Math.max(1, Math.floor(this.#engine.capacity * lowWater / Math.max(1, this.#windows.size)))
    for (const window of this.#windows) if (window.shrink(share)) this.#shrinks++
  }

  /** Counters of this ring, read without a system call. */
  stats(): RingStats {
    const { capacity } = this.#engine
    return {
      engine: this.#engine.kind,
      queued: this.#queue.length,
      inFlight: this.#inFlight,
      ready: this.#ready,
      capacity,
      occupancy: (this.#inFlight + this.#ready) / capacity,
      shrinks: this.#shrinks,
      ...this.#engine.stats()
    }
  }

  /** A stream begins to use this ring. @internal */
  use(): RingUse {
    this.#streams++
    return {
      leaving: () => {
        this.#streams--
        this.#leaving++
      },
      left: () => {
        this.#leaving--
        this.#settle()
      }
    }
  }

  /**
   * Takes no more operations, waits for those in flight and for streams that are closing, and gives everything
   * back to the kernel. Rejects with ERR_INVALID_STATE while other streams use the ring.
   */
  close(): Promise<void> {
    if (this.#streams > 0) return Promise.reject(invalidState(`${this.#streams} streams use the ring`))
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const [choice, ring] of sharedRings) if (ring === this) sharedRings.delete(choice)
    if (!this.#isIdle) await new Promise<void>(resolve => this.#idle.push(resolve))
    await this.#engine.close()
  }

  get #isIdle(): boolean {
    return this.#inFlight === 0 && this.#leaving === 0
  }

  #becomeIdle(): void {
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}

/** Of an operation that is about to get its callback. */
const unset: CompletionCallback = () => {}

/** The index behind the last of the chain that begins at `head`. */
function endOfChain(operations: readonly Operation[], head: number): number {
  let last = head
  while (last < operations.length - 1 && operations[last].linksNext) last++
  return last + 1
}

const sharedRings = new Map<EngineChoice, Ring>()
