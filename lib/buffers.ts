/** Leases: chunks that go back to where they came from. */
import type { EngineBuffer } from './engine.js'

const kLease = Symbol('lease')

/**
 * A chunk in an engine's buffer, counted by those who use it. When the last one releases it the chunk is
 * detached (every view of it has length 0) and the buffer goes to `home`.
 */
export class Lease {
  readonly chunk: Buffer
  #references = 1

  constructor(readonly buffer: EngineBuffer, length: number, readonly home: (buffer: EngineBuffer) => void) {
    this.chunk = buffer.lend(length)
    ;(this.chunk.buffer as Leased)[kLease] = this
  }

  retain(): void {
    this.#references++
  }

  release(): void {
    if (--this.#references > 0) return
    this.buffer.reclaim(this.chunk)
    this.home(this.buffer)
  }
}

type Leased = ArrayBufferLike & { [kLease]?: Lease }

/** The lease that a chunk, or a part of one, belongs to. */
export function leaseOf(chunk: Uint8Array): Lease | undefined {
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
