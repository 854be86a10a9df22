/** Where a copy goes past the page cache: because it is asked to, its source is not there, or its target would fill the memory. */
import { constants, freemem } from 'node:os'
import type { CopyPlan } from './copy-options.js'
import { directUnitMin } from './direct.js'
import { errnoError } from './errors.js'
import { cachedBytes, clearDirect, preallocationPays, setDirect } from './file-calls.js'
import { inspectFile, loadNative } from './native.js'

/** Of less than this it is not worth a call to look at the page cache. */
const coldBytesMin = 8 * 1024 * 1024
/** What is read from the page cache has no more than the rest of it elsewhere. */
const followedShare = 0.75

/**
 * The share of the memory that is to be had above which a target is written past the page cache. The kernel lets a fifth of that
 * be dirty (vm.dirty_ratio), then writers wait for the disk in any case: on 23 GiB 10 GiB took 12 to 25 s through the page cache,
 * 4 to 6 past it, and cp 20 to 37; the event loop stood still for 11 to 58 ms at most, and for 3 to 10 (2026-11-30, Linux 6.18).
 */
const dirtyShare = 0.25

/** How reads and writes go. */
export interface Units {
  /** Bytes that they are whole multiples of: 1 through the page cache. */
  read: number
  write: number
  /** Reads go past the page cache only where the source is not there. */
  follows: boolean
}

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
export async function chooseUnits({ direct, dropCache, ring }: CopyPlan, source: End & Content, target: End): Promise<Units> {
  const possible = source.suits && target.suits && ring.engine.aligns
  if (!direct) {
    const follows = possible && await canFollowCache(source)
    const past = follows && direct === undefined && !dropCache && fillsMemory(source) && await canBePast(target)
    return { read: follows ? directUnitMin : 1, write: past ? directUnitMin : 1, follows }
  }
  const { result, refused } = possible ? await setDirect(source.fd, target.fd) : { result: -constants.errno.EINVAL, refused: target.fd }
  if (result >= 0) return { read: directUnitMin, write: directUnitMin, follows: false }
  if (direct === 'prefer') return { read: 1, write: 1, follows: false }
  const error = errnoError(result, 'fcntl', refused === source.fd ? source.path : target.path)
  error.message += ' (no direct IO there)'
  throw error
}

/**
 * Whether what is not in the page cache can be told, and read past it. Only where the file system says how its direct reads
 * are to be aligned (Linux 6.1): a copy must not fail for a try.
 */
async function canFollowCache({ fd, allocated }: Content): Promise<boolean> {
  return allocated >= coldBytesMin && tellsAlignment(fd) && await cachedBytes(fd, 0, 1) >= 0
}

function tellsAlignment(fd: number): boolean {
  const addon = loadNative()
  const facts = addon instanceof Error ? -1 : inspectFile(addon, fd)
  return typeof facts !== 'number' && facts.regular && facts.directAlignment > 0 && facts.directAlignment <= directUnitMin
}

/** Of a container its limit counts: what it has of the page cache is not free there, and can be had all the same. */
function fillsMemory({ allocated }: Content): boolean {
  return allocated > dirtyShare * Math.min(freemem(), process.constrainedMemory() || Infinity)
}

/** Where its space is not allocated beforehand direct writes wait for each other. */
async function canBePast({ fd }: End): Promise<boolean> {
  return tellsAlignment(fd) && await preallocationPays(fd) && (await setDirect(fd, fd)).result >= 0
}

/** Bytes of a source between two looks at the page cache. With 32 MiB a hot copy took 2 to 9 % longer, and a cold one 4 to 8. */
export const cacheStep = 128 * 1024 * 1024

/**
 * A source that is read from the page cache where it is there, and past it where it is not. The kernel fills its cache in small
 * steps: a cold GiB was copied in 287 to 458 ms past it, in 887 ms through it, and by cp in 872 to 915; where the target's
 * memory had been free a moment ago, 512 MiB in 106, and by cp in 121 (2026-11-25, Linux 6.18, ext4). And who reads
 * through it waits, when the disk's queue is full, for room there in io_uring_enter(2): up to 15 ms of the event loop's.
 */
export class CacheFollower {
  private _past = false

  constructor(readonly fd: number) {}

  /** How these bytes are to be read. Those that are being read may be either way: their places and lengths suit both. */
  async choose(start: number, end: number): Promise<void> {
    const cached = await cachedBytes(this.fd, start, end - start)
    const past = cached < (end - start) * followedShare
    if (cached < 0 || past === this._past) return
    const result = past ? (await setDirect(this.fd, this.fd)).result : await clearDirect(this.fd)
    if (result >= 0) this._past = past
  }
}

/** Whether more than a little of a file's data is in the page cache; not where nobody knows (before Linux 6.5). */
export async function isCached({ fd, size, allocated }: Content): Promise<boolean> {
  return size > 0 && await cachedBytes(fd, 0, size) / Math.min(size, allocated) >= 0.25
}
