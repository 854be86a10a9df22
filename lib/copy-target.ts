/** The target of a copy: where it is written to, and what becomes of it. */
import { randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { constants, fchmod, fstatSync, ftruncate, link, lstatSync, realpathSync, rename, stat, unlink, unlinkSync } from 'node:fs'
import { constants as os } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { CopyPlan } from './copy-options.js'
import type { OpenFile } from './engine.js'
import { errnoError } from './errors.js'
import { closeFile, openDescriptor } from './open-files.js'
import { ops } from './operations.js'
import { mapPath } from './path.js'
import type { Ring } from './ring.js'

const { O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } = constants
const { EEXIST, EINVAL, EISDIR } = os.errno
type Path = string | Buffer

/** What is known of a file whatever its name. */
export interface Identity { dev: bigint, ino: bigint }

export function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

/** Opens a file for as long as one operation of the library takes. */
export async function openFile(ring: Ring, path: Path, flags: number, mode: number, signal?: AbortSignal): Promise<OpenFile> {
  return ring.engine.install(await openDescriptor(ring, path, flags, mode, signal))
}

export class CopyTarget {
  file: OpenFile | null = null
  /** What was found when it was opened. */
  facts: BigIntStats | null = null
  /** The file that is written: the target itself, or the temporary one in its place. */
  #written: Path
  /** What the name of the target leads to; null without `atomic`. */
  #final: Path | null = null
  /** That file while it is not whole; null too if it is none that could be removed. */
  #partial: Identity | null = null

  constructor(readonly plan: CopyPlan, readonly path: Path) {
    this.#written = path
  }

  /**
   * Opens it, empty.
   * @throws EEXIST, EISDIR, and an error whose message says so where it is the source
   */
  async open(source: Path, from: BigIntStats): Promise<void> {
    const { force, atomic, signal } = this.plan
    // Like cp: no set-user-id or set-group-id bit, and the kernel takes the umask off.
    const mode = Number(from.mode) & 0o777
    const replaced = atomic ? await this.#prepareAtomic(source, from) : null
    const made = await this.#openOrMake(atomic || !force, mode, source, from)
    const { fd } = this.file!
    const facts = this.facts = fstatSync(fd, { bigint: true }) // just opened: nothing to wait for
    if (isSame(facts, from)) throw sameFile(source, this.path)
    if (!made) signal?.throwIfAborted() // what was there before is as it was
    if (!facts.isFile()) return
    this.#partial = facts
    if (facts.size > 0n) await this.truncate(0)
    if (replaced !== null) await promisify(fchmod)(fd, Number(replaced.mode) & 0o7777)
  }

  /**
   * Whether it was made. Without the signal, which would end the opening and leave what it has made; and not emptied:
   * it may turn out to be the source.
   */
  async #openOrMake(onlyNew: boolean, mode: number, source: Path, from: BigIntStats): Promise<boolean> {
    const { ring } = this.plan
    try {
      this.file = await openFile(ring, this.#written, O_WRONLY | O_CREAT | O_EXCL, mode)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      if (onlyNew) await this.#refuseSource(source, from)
      if (onlyNew) throw error
    }
    // O_CREAT again: for a link to nothing.
    this.file = await openFile(ring, this.#written, O_WRONLY | O_CREAT, mode)
    return false
  }

  /** Chooses the temporary file's name. Gives what is to be replaced. */
  async #prepareAtomic(source: Path, from: BigIntStats): Promise<BigIntStats | null> {
    const existing = await statIfThere(this.path)
    if (existing !== null) {
      if (isSame(existing, from)) throw sameFile(source, this.path)
      if (!this.plan.force) throw errnoError(-EEXIST, 'open', this.path)
      if (existing.isDirectory()) throw errnoError(-EISDIR, 'open', this.path)
      if (!existing.isFile()) throw errnoError(-EINVAL, 'rename', this.path) // a device stays what it is
    }
    this.#final = existing === null ? this.path : realPath(this.path)
    const name = `.uring-copy-${randomBytes(8).toString('hex')}`
    this.#written = mapPath(this.#final, final => join(dirname(final), name))
    return existing
  }

  async #refuseSource(source: Path, from: BigIntStats): Promise<void> {
    const existing = await statIfThere(this.path)
    if (existing !== null && isSame(existing, from)) throw sameFile(source, this.path)
  }

  async truncate(length: number): Promise<void> {
    await promisify(ftruncate)(this.file!.fd, length)
  }

  /** On the disk. */
  async sync(): Promise<void> {
    await this.plan.ring.submit(ops.fsync(this.file!))
  }

  async close(): Promise<void> {
    const { file } = this
    if (file === null) return
    this.file = null
    await closeFile(this.plan.ring, file)
  }

  /** It is whole, and closed. A temporary file takes its place. */
  async commit(): Promise<void> {
    const { force, ring } = this.plan
    if (this.#final === null) {
      this.#partial = null
      return
    }
    if (force) await promisify(rename)(this.#written, this.#final)
    else await this.#linkNew(this.#final)
    this.#partial = null
    const directory = await openFile(ring, mapPath(this.#final, dirname), O_RDONLY, 0)
    try {
      await ring.submit(ops.fsync(directory))
    } finally {
      await closeFile(ring, directory)
    }
  }

  /** A name that has been taken since is refused by link, where rename would replace it. */
  async #linkNew(final: Path): Promise<void> {
    await promisify(link)(this.#written, final)
    this.#partial = null
    await promisify(unlink)(this.#written).catch(ignoreMissing) // whoever ended the copy may have been here before
  }

  /**
   * Removes what was written unless it is whole, is not ours any more, or is a device. At once: a copy may be ended
   * that cannot stop by itself. What kept it from being removed is returned.
   */
  removePartial(): Error | null {
    const partial = this.#partial
    this.#partial = null
    if (partial === null) return null
    try {
      // The file that was written, not a link to it.
      const path = realPath(this.#written)
      if (isSame(lstatSync(path, { bigint: true }), partial)) unlinkSync(path)
      return null
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : error as Error
    }
  }
}

function realPath(path: Path): Path {
  return typeof path === 'string' ? realpathSync(path) : realpathSync.native(path, 'buffer') // the other one takes text only
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function statIfThere(path: Path): Promise<BigIntStats | null> {
  try {
    return await promisify(stat)(path, { bigint: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function sameFile(source: Path, target: Path): Error {
  const error = errnoError(-EINVAL, 'copyfile', source, target)
  error.message = `'${source.toString()}' and '${target.toString()}' are the same file`
  return error
}
