/** The options of copyFile. */
import { validateSignal } from './abort.js'
import { directUnitMin } from './direct.js'
import { invalidArgType, invalidArgValue } from './errors.js'
import type { EngineChoice } from './options.js'
import { chunkSizeMax, depthMax, validateBoolean, validateFunction, validateInteger, validateOneOf } from './options.js'
import type { Ring } from './ring.js'
import { ringOf } from './ring.js'

/** How far a copy has come. */
export interface CopyProgress {
  /** Bytes of the source that are in the target, holes included. */
  copiedBytes: number
  /** Null if nobody knows: of a pipe, of a file in /proc. */
  totalBytes: number | null
  /** The average since the copy began. */
  bytesPerSecond: number
}

/** What of a file is kept beside its content. All of it false by default. */
export interface Preserve {
  /** All of its permission bits, whatever the umask, with set-user-id, set-group-id and sticky bit. */
  mode?: boolean | undefined
  /**
   * Its user and group. 'prefer' goes on where that is not permitted, with the group alone or with neither, and then
   * without set-user-id and set-group-id bit: as cp does.
   */
  ownership?: boolean | 'prefer' | undefined
  /** Times of access and modification, as they were before it was read. */
  timestamps?: boolean | undefined
  /**
   * Extended attributes and access control lists; not those of a security module. They take the addon: without it true
   * fails with ENOSYS. 'prefer' goes on without, and without those that the target's file system does not take, or that
   * may not be set: as cp -a does.
   */
  xattrs?: boolean | 'prefer' | undefined
}

export interface CopyOptions {
  /** Called at most every 50 ms, and at the end. What it throws ends the copy. */
  onProgress?: ((progress: CopyProgress) => void) | undefined
  /** Ends the copy; it rejects with AbortError when everything is closed and the partial target gone. */
  signal?: AbortSignal | undefined
  /** Overwrite a target that exists, as fs.copyFile does. With false that fails with EEXIST. Default true. */
  force?: boolean | undefined
  /**
   * Share the source's blocks with the target (FICLONE: btrfs, XFS, bcachefs). 'auto' copies where that cannot be done,
   * 'always' fails there, 'never' copies. Default 'auto'.
   */
  reflink?: 'always' | 'auto' | 'never' | undefined
  /** Short for `reflink`: true is 'always', false is 'never'. */
  clone?: boolean | undefined
  /**
   * Past the page cache (O_DIRECT). 'prefer' copies through it where the file system refuses that; true fails with
   * EINVAL there, and for a target that is neither a regular file nor a block device. Of a device's last unit only what
   * belongs there is written, through the page cache. By default the target of a copy of more than a quarter of the memory that
   * is to be had, on ext4 (Linux 6.5), and of the source what is not in the page cache; false: of no target.
   */
  direct?: boolean | 'prefer' | undefined
  /** Resolve only when the target is on the disk (fsync). Default false. */
  flush?: boolean | undefined
  /**
   * The target is the whole old or the whole new file at any time: a temporary file in its directory is written, synced
   * and renamed, and the directory synced. Default false.
   */
  atomic?: boolean | undefined
  /** What else is kept. true: all of it. Default: the permission bits of a new file, less the umask, as cp does. */
  preserve?: boolean | Preserve | undefined
  /**
   * Leave none of the file in the page cache that was not there before (RWF_DONTCACHE, Linux 6.14). Where the kernel, the
   * file system or the engine cannot tell, a source stays there of which a quarter was; of others nothing does. Default false.
   */
  dropCache?: boolean | undefined
  /** Of data that is read; holes are free. Default no limit. */
  bytesPerSecondMax?: number | undefined
  /** Bytes of one read and one write. Default 1 MiB. */
  chunkSize?: number | undefined
  /** Chunks in flight at once. Default 6, 8 with `direct`. */
  depth?: number | undefined
  /** Another ring than the thread's shared one. */
  ring?: Ring | undefined
  /** Default 'auto'. */
  engine?: EngineChoice | undefined
}

/** The same with everything decided. */
export interface CopyPlan {
  onProgress: ((progress: CopyProgress) => void) | undefined
  signal: AbortSignal | undefined
  force: boolean
  reflink: 'always' | 'auto' | 'never'
  direct: boolean | 'prefer' | undefined
  flush: boolean
  atomic: boolean
  preserve: Required<Preserve>
  dropCache: boolean
  bytesPerSecondMax: number
  chunkSize: number | undefined
  depth: number | undefined
  ring: Ring
}

const kept = ['mode', 'ownership', 'timestamps', 'xattrs'] as const
/** Of these it may be that not all can be kept. */
const preferable: readonly string[] = ['ownership', 'xattrs']

function preserveOf(preserve: boolean | Preserve): Required<Preserve> {
  if (typeof preserve === 'boolean') return { mode: preserve, ownership: preserve, timestamps: preserve, xattrs: preserve }
  if (typeof preserve !== 'object' || preserve === null) {
    throw invalidArgType('options.preserve', 'of type boolean or an instance of Object', preserve)
  }
  for (const each of kept) {
    if (preserve[each] === undefined || (preferable.includes(each) && preserve[each] === 'prefer')) continue
    validateBoolean(preserve[each], `options.preserve.${each}`)
  }
  const { mode = false, ownership = false, timestamps = false, xattrs = false } = preserve
  return { mode, ownership, timestamps, xattrs }
}

function reflinkOf({ reflink, clone }: CopyOptions): CopyPlan['reflink'] {
  if (clone === undefined) {
    const choice = reflink ?? 'auto'
    validateOneOf(choice, 'options.reflink', ['always', 'auto', 'never'])
    return choice
  }
  validateBoolean(clone, 'options.clone')
  if (reflink !== undefined) throw invalidArgValue('options.clone', clone, 'is another word for options.reflink, which is given too')
  return clone ? 'always' : 'never'
}

function validateChunk(chunkSize: number, direct: boolean): void {
  validateInteger(chunkSize, 'options.chunkSize', 1, chunkSizeMax)
  if (direct && chunkSize % directUnitMin !== 0) {
    throw invalidArgValue('options.chunkSize', chunkSize, `must be a multiple of ${directUnitMin} with options.direct`)
  }
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function copyPlan(options: CopyOptions): CopyPlan {
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'an instance of Object', options)
  const {
    onProgress, signal, force = true, direct, flush = false, atomic = false, preserve = false, dropCache = false,
    bytesPerSecondMax = Infinity, chunkSize, depth
  } = options
  if (onProgress !== undefined) validateFunction(onProgress, 'options.onProgress')
  if (signal !== undefined) validateSignal(signal)
  for (const [name, value] of Object.entries({ force, flush, atomic, dropCache })) validateBoolean(value, `options.${name}`)
  if (direct !== undefined && direct !== 'prefer') validateBoolean(direct, 'options.direct')
  if (bytesPerSecondMax !== Infinity) validateInteger(bytesPerSecondMax, 'options.bytesPerSecondMax', 1)
  if (chunkSize !== undefined) validateChunk(chunkSize, Boolean(direct))
  if (depth !== undefined) validateInteger(depth, 'options.depth', 1, depthMax)
  return {
    onProgress, signal, force, reflink: reflinkOf(options), direct, flush, atomic, preserve: preserveOf(preserve),
    dropCache, bytesPerSecondMax, chunkSize, depth, ring: ringOf(options)
  }
}
