/** One copy of one file, and what is told of it. */
import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { copyFile, Ring } from '../../lib/index.js'
import type { CopyOptions } from './arguments.js'
import { explained, fileOptions } from './file-options.js'
import { goalInside } from './places.js'
import type { Stage } from './verify.js'
import { refuseUnverifiable, verify } from './verify.js'

export interface Figures {
  bytes: number
  seconds: number
  bytesPerSecond: number
  engine: string
  /** Operations of the ring, and system calls that submitted them. */
  operations: number
  enters: number
}

export interface CopyResult extends Figures {
  source: string
  target: string
}

/** Does something and gives its figures; `bytes` tells how many it was afterwards. */
export async function measured(work: () => Promise<void>, bytes: () => number): Promise<Figures> {
  const began = performance.now()
  const before = Ring.shared().stats()
  await work()
  const seconds = (performance.now() - began) / 1000
  const { engine, submitted, enters } = Ring.shared().stats()
  return {
    bytes: bytes(),
    seconds: Number(seconds.toFixed(6)),
    bytesPerSecond: Math.round(bytes() / seconds),
    engine,
    operations: submitted - before.submitted,
    enters: enters - before.enters
  }
}

export class Copy implements Stage {
  readonly source: string
  /** With the file's name, once the target is known to be a directory. */
  target: string
  phase: string | null = null
  began = performance.now()
  /** Bytes in the target; of another phase, those that have passed it. */
  bytes = 0
  /** Bytes that there will be. Null if nobody knows: of a pipe, of a file in /proc, of a file that grows. */
  total: number | null = null
  readonly skipped: string[] = []
  #copied = 0
  readonly #options: CopyOptions

  constructor(options: CopyOptions) {
    this.source = options.source
    this.target = options.target
    this.#options = options
  }

  /** Copies. If that fails, or `signal` is aborted, everything is closed and the partial target is gone. */
  async run(signal: AbortSignal): Promise<CopyResult> {
    try {
      this.target = await settledTarget(this.source, this.target)
      const figures = await measured(() => this.#copy(signal), () => this.#copied)
      return { source: this.source, target: this.target, ...figures }
    } catch (error) {
      throw explained(error as Error)
    }
  }

  async #copy(signal: AbortSignal): Promise<void> {
    const onProgress = ({ copiedBytes, totalBytes }: { copiedBytes: number, totalBytes: number | null }): void => {
      this.bytes = this.#copied = copiedBytes
      this.total = totalBytes
    }
    const { verify: verifies } = this.#options
    const there = verifies ? await statIfThere(this.target) : null
    if (verifies) {
      refuseUnverifiable(this.source, await statIfThere(this.source))
      refuseUnverifiable(this.target, there)
    }
    await copyFile(this.source, this.target, { ...fileOptions(this.#options), signal, onProgress })
    // A device has more behind what was copied.
    const bytes = there?.isBlockDevice() ? this.#copied : undefined
    if (verifies) await verify([{ source: this.source, target: this.target, bytes }], signal, this)
  }
}

/** Into a directory a file goes under its own name. */
export async function settledTarget(source: string, target: string): Promise<string> {
  const existing = await statIfThere(target)
  return existing?.isDirectory() ? goalInside(target, source) : target
}

export async function statIfThere(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null // the opening will say so
    throw error
  }
}
