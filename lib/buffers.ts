/** Loans of an engine's memory: chunks that go back to where they came from. */
import type { Engine, EngineBuffer } from './engine.js'
import { onAbort, validateSignal } from './abort.js'
import { abortError, invalidArgType, invalidState } from './errors.js'
import { operationBytesMax, validateInteger } from './options.js'
import type { Ring } from './ring.js'

const kLease = Symbol('lease')
/** Leases given to consumers and not yet released. */
let lent = 0

/** Memory on loan is nobody's to give away: it ends with the ring's thread, also where another thread has it by then. */
function refuseTransfer(): never {
  throw invalidState('a chunk or buffer on loan cannot be transferred: copy it')
}

/** An engine's buffer, counted by those who use it; when the last has released it, it goes back to `home`. */
export class Loan {
  private _chunk: Buffer | null = null
  private _references = 1

  /** @param offset of the first byte in the buffer */
  constructor(
    readonly buffer: EngineBuffer, readonly length: number, readonly home: (buffer: EngineBuffer) => void, readonly offset = 0
  ) {}

  /** Its bytes as a Buffer, made when someone wants to see them: from window to window nobody does. */
  get chunk(): Buffer {
    return this._chunk ??= this.lend()
  }

  protected lend(): Buffer {
    const chunk = this.buffer.lend(this.length, this.offset)
    const memory = chunk.buffer as Lent
    memory.transfer = memory.transferToFixedLength = refuseTransfer
    return chunk
  }

  /** Someone has it. */
  get isOut(): boolean {
    return this._references > 0
  }

  retain(): void {
    this._references++
  }

  /** After the last, every view of the chunk has length 0. */
  release(): void {
    if (--this._references === 0) this.ended()
  }

  protected ended(): void {
    this.home(this._chunk === null ? this.buffer : this.buffer.reclaim(this._chunk))
  }
}

/** A loan to consumers. */
export class Lease extends Loan {
  constructor(buffer: EngineBuffer, length: number, home: (buffer: EngineBuffer) => void, offset?: number) {
    super(buffer, length, home, offset)
    lent++
  }

  protected override lend(): Buffer {
    const chunk = super.lend()
    ;(chunk.buffer as Lent)[kLease] = this
    return chunk
  }

  protected override ended(): void {
    lent--
    super.ended()
  }
}

type Lent = ArrayBufferLike & { [kLease]?: Lease, transfer: () => never, transferToFixedLength: () => never }

/** The lease that a chunk, or a part of one, belongs to; of one that is over there is nothing to be had or given back. */
export function leaseOf(chunk: Uint8Array): Lease | undefined {
  // `buffer` is a call into V8, 50 ns: too much for each of a million lines.
  if (lent === 0) return undefined
  const lease = (chunk.buffer as Lent)[kLease]
  return lease?.isOut ? lease : undefined
}

/** Buffers of one window, kept for reuse while it is open. */
export class WindowBuffers {
  private readonly _free: EngineBuffer[] = []
  private _closed = false

  /**
   * @param bytes of each buffer
   * @param keep so many at most when nobody uses them
   * @param pages they begin on a page
   */
  constructor(readonly source: Engine, readonly bytes: number, readonly keep: number, readonly pages: boolean) {}

  acquire(): EngineBuffer {
    return this._free.pop() ?? (this.pages ? this.source.acquirePages(this.bytes) : this.source.acquireBuffer(this.bytes))
  }

  readonly release = (buffer: EngineBuffer): void => {
    if (this._closed || this._free.length >= this.keep) buffer.free()
    else this._free.push(buffer)
  }

  /** Buffers still in use are freed as they come back. */
  close(): void {
    this._closed = true
    for (const buffer of this._free.splice(0)) buffer.free()
  }
}

/** Memory that several may hold; the last to release it gives it back. */
export interface Holding {
  readonly buffer: EngineBuffer
  readonly chunk: Buffer
  retain(): void
  release(): void
}

/**
 * A buffer of a BufferPool or of `ring.registerBuffers`: registered with the kernel where it can be, never moved,
 * held until released.
 */
export class FixedBuffer {
  private _lease: Holding | null

  /** @internal */
  constructor(lease: Holding) {
    this._lease = lease
  }

  /** @internal */
  get lease(): Holding {
    if (this._lease === null) throw invalidState('the buffer was released')
    return this._lease
  }

  /** Its memory. @throws ERR_INVALID_STATE after `release` */
  get bytes(): Buffer {
    return this.lease.chunk
  }

  /** Bytes. */
  get length(): number {
    return this.lease.chunk.length
  }

  /**
   * Gives it back to its pool, as soon as no operation has it any more. Views of its memory have length 0 then. One of
   * `registerBuffers` is unregistered; its memory stays its caller's.
   * @throws ERR_INVALID_STATE the second time
   */
  release(): void {
    const { lease } = this
    this._lease = null
    lease.release()
  }

  [Symbol.dispose](): void {
    if (this._lease !== null) this.release()
  }
}

interface Waiter { resolve: (buffer: FixedBuffer) => void, reject: (error: Error) => void }

/** A fixed number of buffers of one size, from the ring's registered memory as far as it goes. */
export class BufferPool {
  private readonly _ring: Ring
  private readonly _size: number
  private readonly _free: EngineBuffer[] = []
  private readonly _waiting = new Set<Waiter>()
  /**
   * The next in turn: whoever it has given leaves the set. A new iterator for each would pass over all who have left
   * since the set was last packed.
   */
  private readonly _turns = this._waiting.values()
  private _closed = false
  /** How many buffers are with their users. */
  private _lent = 0
  private _returned: (() => void) | null = null

  /**
   * @param options.bufferSize bytes of each buffer; up to 2 MiB they can be registered
   * @param options.count how many
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, and ERR_INVALID_STATE for a ring that is closed
   */
  constructor(ring: Ring, options: { bufferSize: number, count: number }) {
    // Not by its class, whose module needs this one.
    if (typeof (ring as Partial<Ring> | null | undefined)?.addPool !== 'function') throw invalidArgType('ring', 'an instance of Ring', ring)
    validateInteger(options.bufferSize, 'options.bufferSize', 1, operationBytesMax)
    validateInteger(options.count, 'options.count', 1)
    ring.addPool(this)
    this._ring = ring
    this._size = options.bufferSize
    try {
      for (let i = 0; i < options.count; i++) this._free.push(ring.engine.acquireBuffer(this._size))
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** How many buffers nobody has. */
  get free(): number {
    return this._free.length
  }

  /**
   * A buffer, at once or when one is released; first come, first served. Rejects with AbortError, and with
   * ERR_INVALID_STATE when the pool is closed.
   */
  async acquire({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<FixedBuffer> {
    if (signal !== undefined) validateSignal(signal)
    if (signal?.aborted) throw abortError(signal.reason)
    const free = this.tryAcquire()
    if (free !== null) return free
    const { promise, waiter } = this._wait()
    if (signal === undefined) return promise
    const forget = onAbort(signal, () => {
      if (this._waiting.delete(waiter)) waiter.reject(abortError(signal.reason))
    })
    return promise.finally(forget)
  }

  /** A buffer if there is one, else null. @throws ERR_INVALID_STATE when the pool is closed */
  tryAcquire(): FixedBuffer | null {
    if (this._closed) throw invalidState('the pool is closed')
    const buffer = this._free.pop()
    return buffer === undefined ? null : this._lend(buffer)
  }

  private _wait(): { promise: Promise<FixedBuffer>, waiter: Waiter } {
    let waiter!: Waiter
    const promise = new Promise<FixedBuffer>((resolve, reject) => { waiter = { resolve, reject } })
    this._waiting.add(waiter)
    return { promise, waiter }
  }

  private _lend(buffer: EngineBuffer): FixedBuffer {
    this._lent++
    return new FixedBuffer(new Lease(buffer, this._size, this._takeBack))
  }

  private readonly _takeBack = (buffer: EngineBuffer): void => {
    this._lent--
    if (this._closed) {
      buffer.free()
      return this._left()
    }
    if (this._waiting.size === 0) return void this._free.push(buffer)
    const next = this._turns.next().value!
    this._waiting.delete(next)
    next.resolve(this._lend(buffer))
  }

  /** Gives the memory back to the ring: buffers that are out, as they are released. Closing the ring does it, too. */
  close(): void {
    this._closed = true
    for (const waiter of this._waiting) waiter.reject(invalidState('the pool is closed'))
    this._waiting.clear()
    for (const buffer of this._free.splice(0)) buffer.free()
    this._left()
  }

  /** The ring need not wait for a closed pool of which nobody has a buffer. */
  private _left(): void {
    if (this._lent > 0) return
    this._ring.removePool(this)
    this._returned?.()
  }

  /** Of a pool that is closed: resolves when nobody has a buffer any more. @internal */
  async returned(): Promise<void> {
    if (this._lent > 0) await new Promise<void>(resolve => { this._returned = resolve })
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
