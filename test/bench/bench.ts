// What the cases of a run share: its directory, its size, and the hot source file.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Content, makeHotFile, sourceBlock } from './content.js'

export interface Source { path: string; content: Content }

/** What a process must know to take part in a run. */
export interface Plan {
  directory: string
  size: number
  /** Of what rows choose at random. */
  seed: number
}

export class Bench implements Plan {
  readonly directory: string
  readonly size: number
  readonly seed: number
  readonly #block = sourceBlock()
  #source: Source | undefined

  constructor({ directory, size, seed }: Plan) {
    this.directory = directory
    this.size = size
    this.seed = seed
  }

  /** A run of its own, with a new directory. */
  static begin(parent: string, size: number, seed: number): Bench {
    return new Bench({ directory: mkdtempSync(join(parent, 'uring-bench-')), size, seed })
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  /** The file that is read and copied, made when the first row asks for it. */
  source(): Source {
    return this.#source ??= this.makeSource('source', this.size)
  }

  /** In a case's own process it is there already. */
  makeSource(name: string, bytes: number): Source {
    const [path, content] = [this.path(name), new Content(this.#block, bytes)]
    if (!existsSync(path)) makeHotFile(path, content)
    return { path, content }
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
