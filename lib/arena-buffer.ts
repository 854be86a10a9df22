/** Buffers of an engine's registered arena. */
import type { EngineBuffer } from './engine.js'
import type { UringEngine } from './engine-uring.js'
import type { NativeEngine } from './native.js'

export class ArenaBuffer implements EngineBuffer {
  readonly bytes = null

  constructor(
    readonly engine: UringEngine, readonly native: NativeEngine, readonly arenaOffset: number,
    readonly byteLength: number, readonly freed: () => void
  ) {}

  lend(length: number, offset = 0): Buffer {
    return this.native.lease(this.arenaOffset + offset, length)!
  }

  reclaim(lent: Buffer): EngineBuffer {
    if (lent.length === 0) return this._replace()
    this.native.detach(lent.buffer)
    return this
  }

  /** ArrayBuffer.prototype's own `transfer` takes external memory as well: its new owner keeps it for ever. */
  private _replace(): EngineBuffer {
    const other = this.engine.acquirePages(this.byteLength)
    this.native.abandonBuffer()
    this.freed()
    return other
  }

  copyTo(target: Uint8Array, offset: number, bytes: number): number {
    return this.engine.arena.copy(target, 0, this.arenaOffset + offset, this.arenaOffset + offset + bytes)
  }

  free(): void {
    this.native.releaseBuffer(this.arenaOffset)
    this.freed()
  }
}
