/** Several files and directories into one. */
import { chmod, lchown, lutimes, mkdir, readlink, symlink, unlink, utimes, chown } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { copySmallFiles } from '../../lib/copy-small.js'
import { copyFile } from '../../lib/index.js'
import type { CopyOptions } from './arguments.js'
import type { Figures } from './copy.js'
import { measured } from './copy.js'
import { explained, fileOptions } from './file-options.js'
import type { Entry, Tree } from './tree.js'
import { plan } from './tree.js'
import { verify } from './verify.js'

/** Small files are copied so many at once: each waits most of its time. A large one fills the disk by itself. */
const smallAtOnce = 64
const smallBytesMax = 512 * 1024
/** The smallest go through one thread in batches: so many are told of, and can be stopped, at once. */
const batchFiles = 64
const batchBytesMax = 64 * 1024
/** libuv has four threads. */
const batchesAtOnce = Math.min(availableParallelism(), 4)

export interface JobResult extends Figures {
  sources: string[]
  target: string
  files: number
  directories: number
  links: number
}

export class Job {
  /** What is shown as the name of it all. */
  readonly source: string
  bytes = 0
  total: number | null = null
  #tree: Tree | null = null
  #finished = 0
  readonly #began = performance.now()

  constructor(readonly options: CopyOptions) {
    const { sources, source } = options
    this.source = sources !== undefined && sources.length > 1 ? `${sources.length} sources` : source
  }

  async run(signal: AbortSignal): Promise<JobResult> {
    try {
      const tree = await this.plan()
      this.total = tree.bytes
      const figures = await measured(() => this.#copy(tree, signal), () => this.bytes)
      const { sources, source, target } = this.options
      const counts = { files: tree.files.length, directories: tree.directories.length, links: tree.links.length }
      return { sources: sources ?? [source], target, ...counts, ...figures }
    } catch (error) {
      throw explained(error as Error)
    }
  }

  async plan(): Promise<Tree> {
    return this.#tree ??= await plan(this.options)
  }

  async #copy(tree: Tree, signal: AbortSignal): Promise<void> {
    for (const each of tree.directories) await makeDirectory(each)
    for (const each of tree.links) await this.#link(each)
    const left = await this.#copyBatches(tree.files, signal)
    const small = left.filter(({ stats }) => stats.size <= smallBytesMax).values()
    const large = left.filter(({ stats }) => stats.size > smallBytesMax).values()
    const limited = this.options.bytesPerSecondMax !== undefined
    const stop = new AbortController() // by the first that fails
    const either = AbortSignal.any([signal, stop.signal])
    const work = async (files: Iterable<Entry>): Promise<void> => {
      for (const file of files) {
        either.throwIfAborted()
        await this.#file(file, either)
      }
    }
    // A limit is that of all together: one after the other.
    if (limited) await work(left)
    else await allOrNone(stop, [work(large), ...Array.from({ length: smallAtOnce }, () => work(small))])
    for (const each of tree.directories.reverse()) await this.#finishDirectory(each)
  }

  /** Those that one call can copy, and gives all others: what failed is tried again, and then says why. */
  async #copyBatches(files: Entry[], signal: AbortSignal): Promise<Entry[]> {
    if (!this.#ordinary) return files
    const left = files.filter(({ stats }) => !stats.isFile() || stats.size > batchBytesMax)
    const small = files.filter(({ stats }) => stats.isFile() && stats.size <= batchBytesMax)
    const { reflink = 'auto' } = this.options
    let next = 0
    const work = async (): Promise<void> => {
      while (next < small.length && !signal.aborted) {
        const batch = small.slice(next, next += batchFiles)
        const results = await copySmallFiles(batch, reflink !== 'never')
        for (const [i, file] of batch.entries()) {
          if (results[i] < 0) left.push(file)
          else this.bytes += results[i]
        }
      }
    }
    await Promise.all(Array.from({ length: batchesAtOnce }, work))
    signal.throwIfAborted()
    return left
  }

  /** Whether a file is copied with its content and the usual mode bits, and no more is asked for. */
  get #ordinary(): boolean {
    const { direct, flush, atomic, preserve, reflink, dropCache, bytesPerSecondMax, verify } = this.options
    return !direct && !flush && !atomic && !preserve && reflink !== 'always' && !dropCache && bytesPerSecondMax === undefined && !verify
  }

  async #file({ source, target }: Entry, signal: AbortSignal): Promise<void> {
    await this.#pace(signal)
    let seen = 0
    const onProgress = ({ copiedBytes }: { copiedBytes: number }): void => {
      this.bytes += copiedBytes - seen
      seen = copiedBytes
    }
    const { bytes } = await copyFile(source, target, { ...fileOptions(this.options), signal, onProgress })
    this.#finished += bytes
    if (this.options.verify) await verify(source, target, signal)
  }

  async #pace(signal: AbortSignal): Promise<void> {
    const { bytesPerSecondMax = Infinity } = this.options
    const wait = this.#began + this.#finished / bytesPerSecondMax * 1000 - performance.now()
    if (wait > 0) await setTimeout(wait, undefined, { signal })
  }

  async #link({ source, target, stats }: Entry): Promise<void> {
    const to = await readlink(source, 'buffer')
    if (this.options.force) await unlink(target).catch(() => {}) // what is not there or no file is refused below
    await symlink(to, target)
    if (!this.options.preserve) return
    await lchown(target, stats.uid, stats.gid)
    await lutimes(target, stats.atime, stats.mtime)
  }

  /** At the end: what is made in a directory changes its times, and its mode may forbid that. */
  async #finishDirectory({ target, stats }: Entry): Promise<void> {
    const { preserve } = this.options
    if (preserve) await chown(target, stats.uid, stats.gid)
    await chmod(target, preserve ? stats.mode & 0o7777 : stats.mode & 0o777 & ~process.umask())
    if (preserve) await utimes(target, stats.atime, stats.mtime)
  }
}

/** Its owner can write to it for now. */
async function makeDirectory({ target, stats }: Entry): Promise<void> {
  try {
    await mkdir(target, { mode: (stats.mode & 0o777) | 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    await mkdir(target, { recursive: true }) // one that is there is added to; anything else is refused
  }
}

/** The first failure ends the others; it is thrown when all have ended. */
async function allOrNone(stop: AbortController, work: Promise<void>[]): Promise<void> {
  let failure: unknown
  await Promise.all(work.map(each => each.catch(error => {
    failure ??= error
    stop.abort()
  })))
  if (failure !== undefined) throw failure
}
