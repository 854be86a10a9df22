/** Where a copy goes past the page cache: because it is asked to, or because its source is not there. */
import { constants } from 'node:os'
import type { CopyPlan } from './copy-options.js'
import { directUnitMin } from './direct.js'
import { errnoError } from './errors.js'
import { cachedBytes, setDirect } from './file-calls.js'
import { inspectFile, loadNative } from './native.js'

/** Of less than this it is not worth a call to look at the page cache. */
const coldBytesMin = 8 * 1024 * 1024

/** Bytes that reads and writes are whole multiples of: 1 through the page cache. */
export interface Units { read: number, write: number }

/** One end of a copy. */
export interface End {
  fd: number
  path: string | Buffer
  /** What has positions, and may be read or written in whole units. */
  suits: boolean
}

/** What a file holds: `allocated` bytes of its size are no holes. */
export interface Content { fd: number, size: number, allocated: number }

/** @throws EINVAL where a file system refuses direct IO and that is not to be put up with */
export async function chooseUnits({ direct, ring }: CopyPlan, source: End & Content, target: End): Promise<Units> {
  const possible = source.suits && target.suits && ring.engine.aligns
  if (direct === false) {
    const cold = possible && await isCold(source) && (await setDirect(source.fd, source.fd)).result >= 0
    return { read: cold ? directUnitMin : 1, write: 1 }
  }
  const { result, refused } = possible ? await setDirect(source.fd, target.fd) : { result: -constants.errno.EINVAL, refused: target.fd }
  if (result >= 0) return { read: directUnitMin, write: directUnitMin }
  if (direct === 'prefer') return { read: 1, write: 1 }
  const error = errnoError(result, 'fcntl', refused === source.fd ? source.path : target.path)
  error.message += ' (no direct IO there)'
  throw error
}

/**
 * Whether little of a large file is in the page cache, and it can be read without. The kernel fills that in small steps:
 * a cold GiB was copied in 287 to 458 ms past it, in 887 ms through it, and by cp in 872 to 915; where the target's memory
 * had been free a moment ago, 512 MiB in 106, and by cp in 121 (2026-11-25, Linux 6.18, ext4). Only
 * where the file system says how its direct reads are to be aligned (Linux 6.1): a copy must not fail for a try.
 */
async function isCold(source: Content): Promise<boolean> {
  if (source.allocated < coldBytesMin) return false
  const addon = loadNative()
  const facts = addon instanceof Error ? -1 : inspectFile(addon, source.fd)
  if (typeof facts === 'number' || !facts.regular) return false
  const { directAlignment } = facts
  if (directAlignment <= 0 || directAlignment > directUnitMin) return false
  const share = await cachedShare(source)
  return share >= 0 && !isCached(share)
}

/** How much of a file's data is in the page cache, of 1; negative where nobody knows (before Linux 6.5). */
export async function cachedShare({ fd, size, allocated }: Content): Promise<number> {
  return size > 0 ? await cachedBytes(fd, size) / Math.min(size, allocated) : -1
}

/** Whether that is more than a little. */
export function isCached(share: number): boolean {
  return share >= 0.25
}
