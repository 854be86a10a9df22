/** One copy: what is checked before it, and what is removed if it fails. */
import { once } from 'node:events'
import type { BigIntStats } from 'node:fs'
import { fstatSync, lstatSync, realpathSync, unlinkSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { UringReadStream, UringWriteStream } from '../../lib/index.js'
import { createUringReadStream, createUringWriteStream, Ring } from '../../lib/index.js'
import type { CopyOptions } from './arguments.js'

export interface CopyResult {
  source: string
  target: string
  bytes: number
  seconds: number
  bytesPerSecond: number
  engine: string
  /** Operations of the ring, and system calls that submitted them. */
  operations: number
  enters: number
}

/** What is known of a file whatever its name. */
interface Identity { dev: bigint, ino: bigint }

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

export class Copy {
  readonly source: string
  /** With the file's name, once the target is known to be a directory. */
  target: string
  readonly #options: CopyOptions
  #reader: UringReadStream | null = null
  #writer: UringWriteStream | null = null
  #expected: number | null = null
  /** The target while it is not whole; null too if it is no file that could be removed. */
  #partial: Identity | null = null

  constructor(options: CopyOptions) {
    this.source = options.source
    this.target = options.target
    this.#options = options
  }

  /** Bytes in the target. */
  get bytes(): number {
    return this.#writer?.bytesWritten ?? 0
  }

  /** Bytes that there will be. Null if nobody knows: of a pipe, of a file in /proc, of a file that grows. */
  get total(): number | null {
    return this.#expected !== null && this.#expected >= this.bytes ? this.#expected : null
  }

  /** Copies. If that fails, or `signal` is aborted, everything is closed and the partial target is gone. */
  async run(signal: AbortSignal): Promise<CopyResult> {
    const began = performance.now()
    try {
      const before = Ring.shared().stats()
      await this.#copy(signal)
      this.#partial = null
      const seconds = (performance.now() - began) / 1000
      const { engine, submitted, enters } = Ring.shared().stats()
      return {
        source: this.source,
        target: this.target,
        bytes: this.bytes,
        seconds: Number(seconds.toFixed(6)),
        bytesPerSecond: Math.round(this.bytes / seconds),
        engine,
        operations: submitted - before.submitted,
        enters: enters - before.enters
      }
    } catch (error) {
      await Promise.all([closed(this.#reader), closed(this.#writer)])
      throw this.#explain(error as NodeJS.ErrnoException, this.removePartial())
    }
  }

  async #copy(signal: AbortSignal): Promise<void> {
    const { chunkSize, depth } = this.#options
    // The source first: if it cannot be read, the target must not have been touched.
    const reader = this.#reader = createUringReadStream(this.source, { chunkSize, readAhead: depth })
    await once(reader, 'open') // which no signal could end: the kernel waits, if it is a pipe without a writer
    signal.throwIfAborted()
    const from = fstatSync(reader.fd!, { bigint: true })
    if (from.isDirectory()) throw new Error(`EISDIR: illegal operation on a directory, read '${this.source}'`)
    if (from.isFile() && from.size > 0n) this.#expected = Number(from.size)
    await this.#settleTarget(from)
    await this.#openTarget(from)
    await pipeline(reader, this.#writer!, { signal })
  }

  /** Finds out where to write to, and that it is not the source. */
  async #settleTarget(from: BigIntStats): Promise<void> {
    let existing = await statIfThere(this.target)
    if (existing?.isDirectory()) {
      this.target = join(this.target, basename(this.source))
      existing = await statIfThere(this.target)
    }
    if (existing !== null && isSame(existing, from)) {
      throw new Error(`'${this.source}' and '${this.target}' are the same file`)
    }
  }

  async #openTarget(from: BigIntStats): Promise<void> {
    const { chunkSize, depth, force } = this.#options
    const writer = this.#writer = createUringWriteStream(this.target, {
      chunkSize,
      writeBehind: depth,
      // The kernel itself refuses a file that is there, even one that was made after we looked.
      flags: force ? 'w' : 'wx',
      // Of a new file. Like cp: no set-user-id or set-group-id bit, and the kernel takes the umask off.
      mode: Number(from.mode) & 0o777
    })
    // Without the signal: while it is open we can tell what it is, and so what may be removed.
    await once(writer, 'open')
    const made = fstatSync(writer.fd!, { bigint: true })
    if (made.isFile()) this.#partial = made
  }

  /**
   * Removes the target unless it is whole, is not ours, or is a device. What kept it from being removed is
   * returned.
   */
  removePartial(): Error | null {
    const partial = this.#partial
    this.#partial = null
    if (partial === null) return null
    try {
      const path = realpathSync(this.target) // the file that was written, not a link to it
      if (isSame(lstatSync(path, { bigint: true }), partial)) unlinkSync(path)
      return null
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : error as Error
    }
  }

  /** Names what a message leaves out: the file that could not be read or written, and what to do. */
  #explain({ message, code, syscall, path }: NodeJS.ErrnoException, notRemoved: Error | null): Error {
    const file = syscall === 'read' ? this.source : this.target
    const place = syscall === undefined || path !== undefined ? '' : ` '${file}'`
    const help = code === 'EEXIST' ? ' (--force overwrites it)' : ''
    const rest = notRemoved === null ? '' : ` (the partial target is still there: ${notRemoved.message})`
    return new Error(message + place + help + rest)
  }
}

async function statIfThere(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Destroys a stream and waits until its file is closed. */
async function closed(stream: Readable | Writable | null): Promise<void> {
  if (stream === null || stream.closed) return
  const close = new Promise<void>(resolve => stream.once('close', () => resolve()))
  stream.on('error', () => {}) // the first error is known
  stream.destroy()
  await close
}
