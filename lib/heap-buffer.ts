/** Engine memory outside the arena: an ArrayBuffer of its own, reused through ownership transfer. */
import type { EngineBuffer } from './engine.js'

/** The kernel copies to 64-byte boundaries at twice the speed it copies to V8's own 16-byte ones. */
const alignment = 64

/** Of Node 22, six times cheaper than `structuredClone`. */
const { transfer: move } = ArrayBuffer.prototype as { transfer?(this: ArrayBuffer): ArrayBuffer }

/** Moves the bytes to a new ArrayBuffer without copying; the old one and its views have length 0. */
function transfer(buffer: ArrayBuffer): ArrayBuffer {
  return move !== undefined ? move.call(buffer) : structuredClone(buffer, { transfer: [buffer] })
}

/** Of memory and of the page cache, as far as places in a page are concerned. */
export const pageBytes = 4096

/**
 * Where the alignment begins cannot be seen from JavaScript. V8 starts large ArrayBuffers 16 bytes into
 * a page (malloc's header), so 48 further is a 64-byte boundary; elsewhere it costs speed, nothing else.
 */
const alignedStart = alignment - 16

export class HeapBuffer implements EngineBuffer {
  readonly engine = null
  readonly arenaOffset = -1
  bytes: Uint8Array

  /** @param pageOffset tells how far behind a page's beginning memory is: then the buffer begins on a page */
  constructor(readonly byteLength: number, readonly pageOffset?: (memory: Uint8Array) => number) {
    const { buffer } = Buffer.allocUnsafeSlow(byteLength + (pageOffset === undefined ? alignment : pageBytes))
    const start = pageOffset === undefined ? alignedStart : (pageBytes - pageOffset(new Uint8Array(buffer))) % pageBytes
    this.bytes = new Uint8Array(buffer, start, byteLength)
  }

  lend(length: number, offset = 0): Buffer {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + offset, length)
  }

  reclaim(): EngineBuffer {
    const { buffer, byteOffset, length } = this.bytes // memory that is transferred stays where it is
    if (length === 0) return new HeapBuffer(this.byteLength, this.pageOffset) // the borrower has given it away
    this.bytes = new Uint8Array(transfer(buffer as ArrayBuffer), byteOffset, this.byteLength)
    return this
  }

  copyTo(target: Uint8Array, offset: number, bytes: number): number {
    const part = Math.min(bytes, target.length)
    if (part > 0) target.set(this.bytes.subarray(offset, offset + part)) // a target that was given away takes not even none
    return part
  }

  free(): void {
    // The collector's from here on.
  }
}
