/** Admission: what may be in flight at once, and who waits. */
import { createEngine } from './create-engine.js'
import type { Engine, EngineKind, EngineOwner, EngineStats, Request } from './engine.js'
import { IOSQE_IO_DRAIN } from './engine.js'
import { completed, submitted, Watch } from './monitor.js'
import type { RingOptions } from './options.js'
import { RequestQueue } from './request-queue.js'
import { RingUses } from './ring-uses.js'

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
 * What the windows and the engine know of a ring: one queue of requests that wait. In flight and ready together
 * never exceed the completion queue, so the kernel always has a place for a completion.
 */
export abstract class Admission implements EngineOwner {
  /** What runs the operations: a layer for the windows, not for users. @internal */
  readonly engine: Engine
  #inFlight = 0
  #ready = 0
  /** @internal */
  protected readonly queue = new RequestQueue()
  readonly #windows = new Set<Window>()
  /** @internal */
  protected readonly watch = new Watch(this)
  #pressure = false
  /** What is in flight is a drain. */
  #draining = false
  /** Requests wait in the queue, or did until a moment ago. */
  #crowded = false
  #shrinks = 0
  readonly #due: (() => void)[] = []
  #dueNext = 0
  /** Of completions, so far. @internal */
  batches = 0
  /** Streams, files and copies. @internal */
  readonly uses = new RingUses(() => this.#settle())
  #idle: (() => void) | null = null

  constructor(options: RingOptions) {
    this.engine = createEngine(this, options)
  }

  /** Starts a request, or queues it behind those that came before. @internal */
  start(request: Request): void {
    this.uses.refuseClosed()
    if (this.queue.first === null && this.#fits(request)) return this.#admit(request)
    this.queue.push(request)
    this.#setCrowded(true)
  }

  #setCrowded(crowded: boolean): void {
    this.#crowded = crowded
    this.engine.crowded(crowded)
  }

  /**
   * A drain begins when nothing else is in flight, and all else when it has ended. Behind those of the kernel its cancels wait,
   * too, also of what they wait for; and those without an entry (IORING_REGISTER_SYNC_CANCEL, 6.0) were seen not to find what an
   * SQ thread had submitted (6.18).
   * A chain counts only what is in flight: it may need more places than reads ahead have left, and nobody may ever take those.
   */
  #fits({ chain, flags }: Request): boolean {
    if (this.#inFlight > 0 && (this.#draining || (flags & IOSQE_IO_DRAIN) !== 0)) return false
    const { capacity } = this.engine
    return chain === null ? this.#inFlight + this.#ready < capacity : this.#inFlight + chain.length <= capacity
  }

  /**
   * Whether others come first, or a drain is under way. No getter: V8 calls its runtime for each use of a private one (Node 20;
   * 2 of 100 samples of a run of nops were there).
   */
  #isBlocked(): boolean {
    return this.queue.first !== null || (this.#draining && this.#inFlight > 0)
  }

  /** Whether what is started now has to wait. @internal */
  get full(): boolean {
    return this.#isBlocked() || this.#inFlight + this.#ready >= this.engine.capacity
  }

  /**
   * Starts a request that nobody waits for yet, if there is room to spare. The last place is never for one of those: a
   * consumer may leave it ready for as long as he likes.
   * @internal
   */
  tryStart(request: Request): boolean {
    if (this.#isBlocked() || this.#pressure) return false
    const { capacity } = this.engine
    if (this.#inFlight + this.#ready >= Math.min(capacity * highWater, capacity - 1)) {
      this.#press()
      return false
    }
    this.#admit(request)
    return true
  }

  #admit(request: Request): void {
    const { chain } = request
    if (this.#inFlight === 0) {
      this.#draining = (request.flags & IOSQE_IO_DRAIN) !== 0
      if (this.#draining) request.flags &= ~IOSQE_IO_DRAIN // the kernel need not know
    }
    if (chain === null) this.#give(request)
    else this.#giveChain(chain)
    // Subscribers may do as they like, also submit and cancel: not in the midst of a chain.
    if (this.watch.recording || submitted.hasSubscribers) for (const each of chain ?? [request]) this.watch.began(each)
    if (!this.#pressure && this.#inFlight + this.#ready > this.engine.capacity * highWater) this.#press()
  }

  #giveChain(chain: readonly Request[]): void {
    this.engine.hold() // the kernel must get all of it at once
    for (const request of chain) {
      request.chain = null
      this.#give(request)
    }
    this.engine.release()
  }

  #give(request: Request): void {
    this.#inFlight++
    request.admitted(this.engine)
    this.engine.start(request)
  }

  /** The engine's report of a completion. @internal */
  completed(request: Request, result: number, flags: number): void {
    this.#inFlight--
    if (this.watch.recording || completed.hasSubscribers) this.watch.ended(request, result)
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
    this.batches++
    if (this.#due.length === 0) return // to set a length costs as much as five operations
    while (this.#dueNext < this.#due.length) this.#due[this.#dueNext++]()
    this.#due.length = this.#dueNext = 0
  }

  /** After something ended or was taken: the next in the queue, and the pressure. */
  #settle(): void {
    while (this.queue.first !== null && this.#fits(this.queue.first)) {
      const request = this.queue.first
      this.queue.remove(request)
      this.#admit(request)
    }
    if (this.#crowded && this.queue.first === null) this.#setCrowded(false)
    if (this.#pressure && this.#inFlight + this.#ready < this.engine.capacity * lowWater) this.#pressure = false
    if (this.#idle !== null && this.#isIdle) this.#idle()
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

  /**
   * Ends a request early. It still completes: at once if it was queued, else when the kernel says so. A chain that
   * is queued ends as a whole.
   * @internal
   */
  cancel(request: Request): void {
    if (request.waiter !== null) return this.cancel(request.waiter)
    const chain = request.chain ?? [request]
    if (!chain[0].queued) return this.engine.cancel(request)
    this.queue.remove(chain[0])
    for (const each of chain) each.chain = null
    // What it kept waiting has its turn, but nothing that the same signal ends.
    process.nextTick(() => this.#settle())
    for (const each of chain) each.completed(ECANCELED, 0)
  }

  /** Whether each operation is told of: then none may go on by itself. @internal */
  get watched(): boolean {
    return this.watch.recording || submitted.hasSubscribers || completed.hasSubscribers
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
    const share = Math.max(1, Math.floor(this.engine.capacity * lowWater / Math.max(1, this.#windows.size)))
    for (const window of this.#windows) if (window.shrink(share)) this.#shrinks++
  }

  /** Counters of this ring, read without a system call. */
  stats(): RingStats {
    const { capacity, kind } = this.engine
    return {
      engine: kind,
      queued: this.queue.length,
      inFlight: this.#inFlight,
      ready: this.#ready,
      capacity,
      occupancy: (this.#inFlight + this.#ready) / capacity,
      shrinks: this.#shrinks,
      ...this.engine.stats()
    }
  }

  /** Waits for those in flight and for streams that are closing. @internal */
  protected async idle(): Promise<void> {
    if (!this.#isIdle) await new Promise<void>(resolve => { this.#idle = resolve })
  }

  get #isIdle(): boolean {
    return this.#inFlight === 0 && !this.uses.areLeaving
  }
}
