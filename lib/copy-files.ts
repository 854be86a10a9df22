/** copyFiles: many files, the small ones in batches. */
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { onAbort } from './abort.js'
import type { CopyOptions, CopyPlan } from './copy-options.js'
import { copyPlan } from './copy-options.js'
import { progressOf } from './copy-pipeline.js'
import type { SmallCopy } from './copy-small.js'
import { copySmallFiles } from './copy-small.js'
import { copyFile, copyRegularFile } from './copy.js'
import { abortError, invalidArgType } from './errors.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'

/** So many are told of, and can be stopped, at once. */
const batchFiles = 64
/** libuv has four threads. */
const batchesAtOnce = Math.min(availableParallelism(), 4)
/** Small files that no batch takes are copied so many at once: each waits most of its time. A large one fills the disk by itself. */
const smallAtOnce = 64
const smallBytesMax = 512 * 1024
const reportMs = 50

/** One file of many. */
export interface FileToCopy { source: PathLike, target: PathLike }

export interface CopyFilesResult {
  files: number
  /** Of all targets. */
  bytes: number
  seconds: number
}

class FilesCopy {
  /** By its caller's signal, or by the first file that fails. */
  readonly #stop = new AbortController()
  readonly #plan: CopyPlan
  readonly #began = performance.now()
  #failure: unknown
  #bytes = 0
  #reported = -Infinity

  constructor(readonly files: readonly SmallCopy[], readonly options: CopyOptions, readonly copyOne: typeof copyFile) {
    this.#plan = copyPlan(options)
  }

  async run(): Promise<CopyFilesResult> {
    const { signal } = this.#plan
    if (signal?.aborted) throw abortError(signal.reason)
    const forget = signal === undefined ? null : onAbort(signal, () => this.#fail(abortError(signal.reason)))
    try {
      await this.#copy()
      if (this.#failure === undefined) this.#report(true)
    } catch (error) {
      this.#fail(error) // of onProgress
    } finally {
      forget?.()
    }
    if (this.#failure !== undefined) throw this.#failure
    return { files: this.files.length, bytes: this.#bytes, seconds: this.#seconds }
  }

  get #seconds(): number {
    return (performance.now() - this.#began) / 1000
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#stop.abort()
  }

  async #copy(): Promise<void> {
    const left = this.#isOrdinary ? await this.#copyBatches() : this.files
    // A limit is that of all together.
    if (this.#plan.bytesPerSecondMax < Infinity) return this.#each(left, 1, file => this.#paced(file))
    const [small, large] = await this.#bySize(left)
    const crowded: SmallCopy[] = []
    const one = (file: SmallCopy): Promise<void> => this.#one(file).catch(error => {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
      crowded.push(file)
    })
    await Promise.all([this.#each(large, 1, one), this.#each(small, smallAtOnce, one)])
    // Alone each has the descriptors of those that are done.
    await this.#each(crowded, 1, file => this.#one(file))
  }

  async #bySize(files: readonly SmallCopy[]): Promise<[small: SmallCopy[], large: SmallCopy[]]> {
    const [small, large]: [SmallCopy[], SmallCopy[]] = [[], []]
    await this.#each(files, smallAtOnce, async file => {
      const { size } = await stat(file.source).catch(() => ({ size: 0 })) // the copy will say what is wrong
      if (size > smallBytesMax) large.push(file)
      else small.push(file)
    })
    return [small, large]
  }

  /** Whether files are copied with their content and the usual mode bits, and no more is asked for. */
  get #isOrdinary(): boolean {
    const { direct, flush, atomic, preserve, reflink, dropCache, bytesPerSecondMax } = this.#plan
    const preserves = Object.values(preserve).some(each => each !== false)
    return !direct && !flush && !atomic && !preserves && reflink !== 'always' && !dropCache && bytesPerSecondMax === Infinity
  }

  /** Gives those that were not copied: of one that failed copyFile will say why. */
  async #copyBatches(): Promise<SmallCopy[]> {
    const batches: (readonly SmallCopy[])[] = []
    for (let i = 0; i < this.files.length; i += batchFiles) batches.push(this.files.slice(i, i + batchFiles))
    const left: SmallCopy[] = []
    await this.#each(batches, batchesAtOnce, async batch => {
      const results = await copySmallFiles(batch, this.#plan.reflink !== 'never')
      left.push(...batch.filter((_, i) => results[i] < 0))
      this.#passed(results.reduce((bytes, result) => bytes + Math.max(result, 0), 0))
    })
    return left
  }

  /** So many of them at once, until one fails. Resolves when nothing goes on any more. */
  async #each<T>(all: readonly T[], count: number, work: (one: T) => Promise<void>): Promise<void> {
    const rest = all.values()
    const run = async (): Promise<void> => {
      for (const one of rest) {
        if (this.#stop.signal.aborted) return
        await work(one).catch(error => this.#fail(error))
      }
    }
    await Promise.all(Array.from({ length: Math.min(count, all.length) }, run))
  }

  async #one({ source, target }: SmallCopy): Promise<void> {
    let seen = 0
    const onProgress = ({ copiedBytes }: { copiedBytes: number }): void => {
      this.#passed(copiedBytes - seen)
      seen = copiedBytes
    }
    try {
      await this.copyOne(source, target, { ...this.options, signal: this.#stop.signal, onProgress })
    } catch (error) {
      this.#bytes -= seen // it may be copied once more
      throw error
    }
  }

  /** After as long as all before it should have taken: the first piece of each copy is free. */
  async #paced(file: SmallCopy): Promise<void> {
    const wait = this.#bytes / this.#plan.bytesPerSecondMax * 1000 + this.#began - performance.now()
    if (wait > 0) await setTimeout(wait, undefined, { signal: this.#stop.signal })
    await this.#one(file)
  }

  #passed(bytes: number): void {
    this.#bytes += bytes
    this.#report(false)
  }

  #report(last: boolean): void {
    const { onProgress } = this.#plan
    const now = performance.now()
    if (onProgress === undefined || (!last && now - this.#reported < reportMs)) return
    this.#reported = now
    onProgress({ ...progressOf(this.#bytes, 0, now - this.#began), totalBytes: last ? this.#bytes : null })
  }
}

/**
 * Copies many files as `copyFile` does each: several at once, and those of up to 128 KiB that are not there yet in
 * batches on libuv's threads, whatever the engine, which takes less time. With options that a batch has no part in (all
 * but `force`, `signal`, `onProgress`, `reflink: 'auto'` and `'never'`) each is copied by itself.
 *
 * Directories must be there. `onProgress` is told of all together, and `bytesPerSecondMax` is that of all together. The
 * first file that fails ends the others, and the promise rejects with its error, as `copyFile` would; files that were
 * copied before stay.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE by the promise; AbortError
 */
export async function copyFiles(files: Iterable<FileToCopy>, options: CopyOptions = {}): Promise<CopyFilesResult> {
  return copyAll(files, options, copyFile)
}

/** The same of regular files only, as `copyRegularFile`. @internal */
export async function copyRegularFiles(files: Iterable<FileToCopy>, options: CopyOptions): Promise<CopyFilesResult> {
  return copyAll(files, options, copyRegularFile)
}

async function copyAll(files: Iterable<FileToCopy>, options: CopyOptions, copyOne: typeof copyFile): Promise<CopyFilesResult> {
  if (typeof files?.[Symbol.iterator] !== 'function') throw invalidArgType('files', 'an iterable', files)
  const all = Array.from(files, ({ source, target }) => ({ source: validPath(source), target: validPath(target) }))
  return new FilesCopy(all, options, copyOne).run()
}
