/** Loans of an engine's memory: chunks that go back to where they came from. */
import type { EngineBuffer } from './engine.js'

const kLease = Symbol('lease')
/** Leases given to consumers and not yet released. */
let lent = 0

/** An engine's buffer, seen as a Buffer until `release` gives it back to `home`. */
export class Loan {
  readonly chunk: Buffer

  constructor(readonly buffer: EngineBuffer, length: number, readonly home: (buffer: EngineBuffer) => void) {
    this.chunk = buffer.lend(length)
  }

  /** Every view of the chunk has length 0 afterwards. */
  release(): void {
    this.buffer.reclaim(this.chunk)
    this.home(this.buffer)
  }
}

/** A chunk lent to consumers, counted by those who use it; the last to release it ends the loan. */
export class Lease extends Loan {
  #references = 1

  constructor(buffer: EngineBuffer, length: number, home: (buffer: EngineBuffer) => void) {
    super(buffer, length, home)
    ;(this.chunk.buffer as Leased)[kLease] = this
    lent++
  }

  retain(): void {
    this.#references++
  }

  override release(): void {
    if (--this.#references > 0) return
    lent--
    super.release()
  }
}

type Leased = ArrayBufferLike & { [kLease]?: Lease }

/** The lease that a chunk, or a part of one, belongs to. */
export function leaseOf(chunk: Uint8Array): Lease | undefined {
  // `buffer` is a call into V8, 50 ns: too much for each of a million lines.
  if (lent === 0) return undefined
  return (chunk.buffer as Leased)[kLease]
}

/** Buffers of one window, kept for reuse while it is open. */
export class WindowBuffers {
  readonly #free: EngineBuffer[] = []
  #closed = false

  /**
   * @param bytes of each buffer
   * @param keep so many at most when nobody uses them
   */
  constructor(
    readonly source: { acquireBuffer(bytes: number): EngineBuffer }, readonly bytes: number, readonly keep: number
  ) {}

  acquire(): EngineBuffer {
    return this.#free.pop() ?? this.source.acquireBuffer(this.bytes)
  }

  readonly release = (buffer: EngineBuffer): void => {
    if (this.#closed || this.#free.length >= this.keep) buffer.free()
    else this.#free.push(buffer)
  }

  /** Buffers still in use are freed as they come back. */
  close(): void {
    this.#closed = true
    for (const buffer of this.#free.splice(0)) buffer.free()
  }
}
