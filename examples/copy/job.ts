/** Several files and directories into one. */
import { copyRegularFiles } from '../../lib/copy-files.js'
import { copyFiles } from '../../lib/index.js'
import type { CopyOptions } from './arguments.js'
import type { Figures } from './copy.js'
import { measured } from './copy.js'
import { finishDirectories, makeDirectory, makeLink } from './directories.js'
import { foresee } from './foresee.js'
import { explained, fileOptions } from './file-options.js'
import type { Entry, Tree } from './tree.js'
import { plan, skippedBecause } from './tree.js'
import type { Stage } from './verify.js'
import { refuseUnverifiable, verify } from './verify.js'

export interface JobResult extends Figures {
  sources: string[]
  target: string
  files: number
  directories: number
  links: number
  /** Entries that were not copied. */
  skipped: number
}

export class Job implements Stage {
  /** What is shown as the name of it all. */
  readonly source: string
  phase: string | null = null
  began = performance.now()
  bytes = 0
  total: number | null = null
  #copied = 0
  #tree: Tree | null = null

  constructor(readonly options: CopyOptions) {
    const { sources, source } = options
    this.source = sources !== undefined && sources.length > 1 ? `${sources.length} sources` : source
  }

  async run(signal: AbortSignal): Promise<JobResult> {
    try {
      const tree = this.#tree = await plan(this.options, signal)
      this.total = tree.bytes
      const figures = await measured(() => this.#copy(tree, signal), () => this.#copied)
      return { ...this.counts, ...figures }
    } catch (error) {
      throw explained(error as Error)
    }
  }

  /** A line for each entry that is not copied, once that is known. */
  get skipped(): string[] {
    return this.#tree?.skipped.map(skippedBecause) ?? []
  }

  /** Once it is known what there is to copy. */
  get counts(): Omit<JobResult, keyof Figures> {
    const { sources, source, target } = this.options
    const { files, directories, links, skipped } = this.#tree!
    return {
      sources: sources ?? [source], target, files: files.length, directories: directories.length, links: links.length,
      skipped: skipped.length
    }
  }

  /** What would be copied. @throws what would fail for sure, without trying */
  async foresee(): Promise<Tree> {
    try {
      const tree = this.#tree = await plan(this.options)
      await foresee(tree, this.options)
      return tree
    } catch (error) {
      throw explained(error as Error)
    }
  }

  async #copy(tree: Tree, signal: AbortSignal): Promise<void> {
    const { options } = this
    if (options.verify) for (const { source, stats } of tree.files) refuseUnverifiable(source, stats)
    const made = new Set<Entry>()
    const finish = (entries: Entry[]): Promise<void> => finishDirectories(entries, made, options.preserve === true)
    try {
      await this.#fill(tree, made, signal)
    } catch (error) {
      // What was there before is not ours to change now. Of two failures the first is told.
      await finish([...made]).catch(() => {})
      throw error
    }
    await finish(tree.directories)
  }

  /** @param made gets the directories that are new: their owner can write to them for now */
  async #fill(tree: Tree, made: Set<Entry>, signal: AbortSignal): Promise<void> {
    const { options } = this
    for (const each of tree.directories) {
      signal.throwIfAborted()
      if (await makeDirectory(each, options)) made.add(each)
    }
    for (const each of tree.links) {
      signal.throwIfAborted()
      await makeLink(each, options)
    }
    const onProgress = ({ copiedBytes }: { copiedBytes: number }): void => { this.bytes = this.#copied = copiedBytes }
    // What was named without --recursive is read whatever it is.
    const copy = options.recursive ? copyRegularFiles : copyFiles
    await copy(tree.files, { ...fileOptions(options), signal, onProgress })
    if (options.verify) await verify(tree.files, signal, this)
  }
}
