/** Several files and directories into one. */
import { chmod, lchown, lutimes, mkdir, readlink, symlink, unlink, utimes, chown } from 'node:fs/promises'
import { copyFiles } from '../../lib/index.js'
import type { CopyOptions } from './arguments.js'
import type { Figures } from './copy.js'
import { measured } from './copy.js'
import { explained, fileOptions } from './file-options.js'
import type { Entry, Tree } from './tree.js'
import { plan, skippedBecause } from './tree.js'
import type { Stage } from './verify.js'
import { verify } from './verify.js'

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
      const tree = await this.plan()
      this.total = tree.bytes
      const figures = await measured(() => this.#copy(tree, signal), () => this.#copied)
      const { sources, source, target } = this.options
      const counts = { files: tree.files.length, directories: tree.directories.length, links: tree.links.length, skipped: tree.skipped.length }
      return { sources: sources ?? [source], target, ...counts, ...figures }
    } catch (error) {
      throw explained(error as Error)
    }
  }

  /** A line for each entry that is not copied, once that is known. */
  get skipped(): string[] {
    return this.#tree?.skipped.map(skippedBecause) ?? []
  }

  async plan(): Promise<Tree> {
    return this.#tree ??= await plan(this.options)
  }

  async #copy(tree: Tree, signal: AbortSignal): Promise<void> {
    for (const each of tree.directories) await makeDirectory(each)
    for (const each of tree.links) await this.#link(each)
    const onProgress = ({ copiedBytes }: { copiedBytes: number }): void => { this.bytes = this.#copied = copiedBytes }
    await copyFiles(tree.files, { ...fileOptions(this.options), signal, onProgress })
    if (this.options.verify) await verify(tree.files, signal, this)
    for (const each of tree.directories.reverse()) await this.#finishDirectory(each)
  }

  async #link({ source, target, stats }: Entry): Promise<void> {
    const to = await readlink(source, 'buffer')
    if (this.options.force) await unlink(target).catch(() => {}) // what is not there or no file is refused below
    await symlink(to, target)
    if (!this.options.preserve) return
    await lchown(target, stats.uid, stats.gid)
    await lutimes(target, stats.atimeMs / 1000, stats.mtimeMs / 1000) // a Date has milliseconds alone
  }

  /** At the end: what is made in a directory changes its times, and its mode may forbid that. */
  async #finishDirectory({ target, stats }: Entry): Promise<void> {
    const { preserve } = this.options
    if (preserve) await chown(target, stats.uid, stats.gid)
    await chmod(target, preserve ? stats.mode & 0o7777 : stats.mode & 0o777 & ~process.umask())
    if (preserve) await utimes(target, stats.atimeMs / 1000, stats.mtimeMs / 1000)
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
