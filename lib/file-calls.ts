/** Calls on open files that io_uring has no operation for, on one of libuv's threads. */
import { constants } from 'node:os'
import type { NativeAddon } from './native.js'
import { FileCall, loadNative } from './native.js'

/** Extents that one call looks for: enough that most files need one, few enough that a thread is not held for long. */
const extentsMax = 256
const none = new Float64Array()
/** In nanoseconds. */
const second = 1_000_000_000n
const { ENOSYS } = constants.errno

/** Bytes of a file from `start` up to, not including, `end`. */
export interface Extent { start: number, end: number }

/** @returns what the call gives: a count or 0, a negative errno; -ENOSYS where the addon is not loaded */
function fileCall(call: number, source: number, target: number, numbers: Float64Array): Promise<number> {
  const addon = loadNative()
  if (addon instanceof Error) return Promise.resolve(-ENOSYS)
  return new Promise(resolve => addon.fileCall(call, source, target, numbers, resolve))
}

/**
 * The data of a file between two positions, without its holes, in order. All of it where the file system, or this
 * machine, does not tell.
 */
export async function * dataOf(fd: number, start: number, end: number): AsyncGenerator<Extent> {
  const numbers = new Float64Array(2 * extentsMax)
  for (let from = start; from < end;) {
    numbers[0] = from
    numbers[1] = end
    const found = await fileCall(FileCall.extents, fd, -1, numbers)
    if (found < 0) return yield { start: from, end }
    for (let i = 0; i < found; i++) yield { start: numbers[2 * i], end: numbers[2 * i + 1] }
    if (found < extentsMax) return
    from = numbers[2 * found - 1]
  }
}

export function cloneFile(source: number, target: number): Promise<number> {
  return fileCall(FileCall.clone, source, target, none)
}

/** @param prefer without those that cannot be kept: not taken by the target's file system, forbidden, or for want of the addon */
export async function copyXattrs(source: number, target: number, prefer: boolean): Promise<number> {
  const result = await fileCall(FileCall.copyXattrs, source, target, Float64Array.of(Number(prefer)))
  return prefer && result === -ENOSYS ? 0 : result
}

/** Times of access and modification, in nanoseconds since 1970. */
export function setTimes(fd: number, accessed: bigint, modified: bigint): Promise<number> {
  const split = (time: bigint): number[] => {
    const nanoseconds = (time % second + second) % second // of a time before 1970 as well
    return [(time - nanoseconds) / second, nanoseconds].map(Number)
  }
  return fileCall(FileCall.setTimes, fd, -1, Float64Array.from([...split(accessed), ...split(modified)]))
}

export function dropCache(fd: number): Promise<number> {
  return fileCall(FileCall.dropCache, fd, -1, none)
}

/** Room for so many bytes from `start` on; with `extend` they belong to the file at once. */
export function preallocate(fd: number, start: number, length: number, extend: boolean): Promise<number> {
  return fileCall(FileCall.preallocate, fd, -1, Float64Array.of(start, length, Number(extend)))
}

/** Whether that is worth it on the file system of this one. */
export async function preallocationPays(fd: number): Promise<boolean> {
  return await fileCall(FileCall.preallocationPays, fd, -1, none) > 0
}

/** fallocate(2). */
export function allocate(fd: number, start: number, length: number, mode: number): Promise<number> {
  return fileCall(FileCall.allocate, fd, -1, Float64Array.of(start, length, mode))
}

/** Bytes of so many from `start` on that are in the page cache, in whole pages. Linux 6.5. */
export function cachedBytes(fd: number, start: number, length: number): Promise<number> {
  return fileCall(FileCall.cachedBytes, fd, -1, Float64Array.of(start, length))
}

/** Lets the disk begin with what was written there. `begun` is called when its queue has taken that, or at once without the addon. */
export function startWriteback(fd: number, start: number, length: number, begun: () => void): void {
  const addon = loadNative()
  if (addon instanceof Error) begun()
  else addon.fileCall(FileCall.startWriteback, fd, -1, Float64Array.of(start, length), begun)
}

/** Past the page cache with both files, or with none. `refused` is then the descriptor that cannot. */
export async function setDirect(source: number, target: number): Promise<{ result: number, refused: number }> {
  const numbers = Float64Array.of(target)
  return { result: await fileCall(FileCall.setDirect, source, target, numbers), refused: numbers[0] }
}

/** Through the page cache again. */
export function clearDirect(fd: number): Promise<number> {
  return fileCall(FileCall.clearDirect, fd, -1, none)
}

/** Closes a descriptor. `closed` is called with 0 or a negative errno, and no promise takes what it throws. */
export function closeByThread(addon: NativeAddon, fd: number, closed: (result: number) => void): void {
  addon.fileCall(FileCall.close, fd, -1, none, closed)
}
