/** Memory of a caller's own that the kernel was told of. */
import type { Engine, EngineBuffer } from './engine.js'
import { notImplemented } from './errors.js'

export class RegisteredBuffer implements EngineBuffer {
  readonly arenaOffset = -1

  /**
   * @param index under which the kernel knows it
   * @param freed takes the index back
   */
  constructor(
    readonly engine: Engine | null, readonly index: number, readonly bytes: Uint8Array, readonly freed: (index: number) => void
  ) {}

  get byteLength(): number {
    return this.bytes.byteLength
  }

  /** Its caller has it all the time. */
  lend(): Buffer {
    throw notImplemented('lend()')
  }

  reclaim(): EngineBuffer {
    throw notImplemented('reclaim()')
  }

  copyTo(target: Uint8Array, offset: number, bytes: number): number {
    const part = Math.min(bytes, target.length)
    if (part > 0) target.set(this.bytes.subarray(offset, offset + part)) // a target that was given away takes not even none
    return part
  }

  free(): void {
    this.freed(this.index)
  }
}
