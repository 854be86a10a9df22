/** Memory of chunks that are the consumer's to keep. */
import { loadNative } from './native.js'

let prepared = false

/**
 * Memory that the collector gives back to malloc. glibc passes blocks of this size on to the kernel at first, and each
 * chunk costs page faults and clearing again: a hot GiB in chunks of 256 KiB took 350 ms, and 140 ms where glibc keeps
 * what was freed (2026-11-25, Node 20, Linux 6.18). So it is told once, when a thread's first chunk is made.
 */
export function allocateChunk(bytes: number): Buffer {
  if (!prepared) prepare()
  return Buffer.allocUnsafeSlow(bytes)
}

function prepare(): void {
  prepared = true
  const addon = loadNative()
  if (!(addon instanceof Error)) addon.keepFreedMemory()
}
