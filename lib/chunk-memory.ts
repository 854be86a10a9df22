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
  if (collectsEarly) count(bytes)
  return Buffer.allocUnsafeSlow(bytes)
}

function prepare(): void {
  prepared = true
  const addon = loadNative()
  if (!(addon instanceof Error)) addon.keepFreedMemory()
}

/**
 * V8 up to Node 22 collects dead chunks by a scavenge when 32 MiB of young ArrayBuffers are there
 * (Heap::AllocateExternalBackingStore), so a stream takes that much memory however small its window is. One more of that
 * size, of which no page is touched, has it done half-way: 10 GiB through Web streams took 44 MiB above an idle process,
 * and 32 to 38 so, for a twentieth of the speed (2026-11-26, Node 20). Not from Node 24 on: there it is a whole
 * collection that comes, which made hot reads half as fast.
 */
const collectsEarly = Number.parseInt(process.versions.v8) < 13

/** Bytes of chunks after which the dead ones are collected. */
const collectedBytes = 16 << 20
/** Above the largest threshold from which on malloc takes fresh memory (M_MMAP_THRESHOLD's 32 MiB). */
const weightBytes = (32 << 20) + 1

let uncollectedBytes = 0

function count(bytes: number): void {
  uncollectedBytes += bytes
  if (uncollectedBytes < collectedBytes) return
  uncollectedBytes = 0
  try {
    void new ArrayBuffer(weightBytes)
  } catch {
    // No address space for it (RLIMIT_AS): V8 collects when it will.
  }
}
