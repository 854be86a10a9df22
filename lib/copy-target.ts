/** The target of a copy: where it is written to, and what becomes of it. */
import type { BigIntStats } from 'node:fs'
import { constants, fstatSync, ftruncate, lstatSync, realpathSync, stat, unlinkSync } from 'node:fs'
import { constants as os } from 'node:os'
import { promisify } from 'node:util'
import { onAbort } from './abort.js'
import { AtomicFile } from './atomic-file.js'
import type { CopyPlan } from './copy-options.js'
import type { OpenFile } from './engine.js'
import { errnoError, named } from './errors.js'
import { closeFile, openFile } from './open-files.js'
import { ops } from './operations.js'

const { EINVAL } = os.errno
const { O_CREAT, O_EXCL, O_WRONLY } = constants
type Path = string | Buffer

/** What is known of a file whatever its name. */
export interface Identity { dev: bigint, ino: bigint }

export function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

/**
 * What copies of this thread are writing to, by identity, each until it is closed: two paths may lead to one file (hard and
 * symbolic links), and two copies at once would leave a mixture of both.
 */
const turns = new Map<string, Promise<void>>()

/** Resolves when the other has had its turn, or the signal came. */
function endOf(turn: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return turn
  return new Promise(resolve => {
    const forget = onAbort(signal, () => resolve())
    void turn.then(() => {
      forget()
      resolve()
    })
  })
}

export class CopyTarget {
  file: OpenFile | null = null
  /** What was found when it was opened. */
  facts: BigIntStats | null = null
  #atomic: AtomicFile | null = null
  /** The same file through the page cache, when `file` goes past it. */
  #cached: Promise<OpenFile | null> | null = null
  /** That file while it is not whole; null too if it is none that could be removed. */
  #partial: Identity | null = null
  /** What kept it from being removed. */
  notRemoved: Error | null = null
  #endTurn: (() => void) | null = null

  constructor(readonly plan: CopyPlan, readonly path: Path) {}

  /** The file that is written: the target itself, or the temporary one in its place. */
  get #written(): Path {
    return this.#atomic?.temporary ?? this.path
  }

  /**
   * Opens it. One that was there is as it was, until it is emptied.
   * @throws EEXIST, EISDIR, and an error whose message says so where it is the source
   */
  async open(source: Path, from: BigIntStats): Promise<void> {
    const { force, atomic, preserve } = this.plan
    // Like cp: no set-user-id or set-group-id bit, and the kernel takes the umask off. Where the mode comes in the end, behind
    // the owner, nobody else is to read it before.
    const mode = Number(from.mode) & (preserve.mode ? 0o700 : 0o777)
    if (atomic) this.#atomic = await this.#beside(source, from)
    const made = await this.#openOrMake(atomic || !force, mode, source, from)
    const { fd } = this.file!
    const facts = this.facts = fstatSync(fd, { bigint: true }) // just opened: nothing to wait for
    if (isSame(facts, from)) throw sameFile(source, this.path)
    if (facts.isFile() && await this.#takeTurn(facts)) {
      this.facts = fstatSync(fd, { bigint: true })
      if (this.facts.nlink === 0n) { // the other copy failed, and has removed it
        await this.close()
        return this.open(source, from)
      }
    } else if (made && facts.isFile()) {
      this.#partial = facts // where another copy came first it is that one's
    }
    await this.#atomic?.resemble(fd)
  }

  /** Gives whether there was another copy to wait for. */
  async #takeTurn({ dev, ino }: Identity): Promise<boolean> {
    const { signal } = this.plan
    const key = `${dev}:${ino}`
    let waited = false
    for (let turn; (turn = turns.get(key)) !== undefined; waited = true) {
      signal?.throwIfAborted()
      await endOf(turn, signal)
    }
    turns.set(key, new Promise(resolve => {
      this.#endTurn = () => {
        turns.delete(key)
        resolve()
      }
    }))
    return waited
  }

  /** What was there is gone, and what comes is to be removed while it is not whole. */
  async empty(): Promise<void> {
    const facts = this.facts!
    if (!facts.isFile()) return
    this.#partial = facts
    if (facts.size > 0n) await this.truncate(0)
  }

  /**
   * Whether it was made. What may make it is without the signal, which would end the opening and leave what it has made; and
   * it is not emptied: it may turn out to be the source.
   */
  async #openOrMake(onlyNew: boolean, mode: number, source: Path, from: BigIntStats): Promise<boolean> {
    const { ring, signal } = this.plan
    try {
      this.file = await openFile(ring, this.#written, O_WRONLY | O_CREAT | O_EXCL, mode)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw named(error as Error, this.path) // not by the temporary name
      if (onlyNew) await this.#refuseSource(source, from)
      if (onlyNew) throw error
    }
    try {
      // Not to be made: fs.protected_regular refuses that (EACCES) for another user's file in a directory as /tmp.
      this.file = await openFile(ring, this.#written, O_WRONLY, mode, signal) // a FIFO's may wait for ever
      return false
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    this.file = await openFile(ring, this.#written, O_WRONLY | O_CREAT, mode) // what a link names that led to nothing
    return true
  }

  async #beside(source: Path, from: BigIntStats): Promise<AtomicFile> {
    const { force, ring } = this.plan
    try {
      const atomic = await AtomicFile.beside(ring, this.path, !force)
      if (atomic.replaced !== null && isSame(atomic.replaced, from)) throw sameFile(source, this.path)
      return atomic
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') await this.#refuseSource(source, from)
      throw error
    }
  }

  async #refuseSource(source: Path, from: BigIntStats): Promise<void> {
    const existing = await promisify(stat)(this.path, { bigint: true }).catch(() => null)
    if (existing !== null && isSame(existing, from)) throw sameFile(source, this.path)
  }

  async truncate(length: number): Promise<void> {
    await promisify(ftruncate)(this.file!.fd, length)
  }

  /**
   * Opens it once more, without the flag that sets this one past the page cache: for what is no whole unit. Null where
   * that cannot be done.
   */
  cached(): Promise<OpenFile | null> {
    // By number: whatever has its path by now. A worker of an old kernel's has another /proc/self.
    return this.#cached ??= openFile(this.plan.ring, `/proc/${process.pid}/fd/${this.file!.fd}`, O_WRONLY, 0).catch(() => null)
  }

  async close(): Promise<void> {
    const cached = await this.#cached
    this.#cached = null
    if (cached != null) await closeFile(this.plan.ring, cached).catch(() => {}) // the other one says what is wrong
    const { file } = this
    if (file === null) return
    this.file = null
    try {
      await closeFile(this.plan.ring, file)
    } finally {
      this.#endTurn?.()
      this.#endTurn = null
    }
  }

  /** All of it is written: on the disk if that is asked for, and in its place. */
  async finish(): Promise<void> {
    const { flush, ring, signal } = this.plan
    if (this.#atomic !== null) return this.#atomic.commit(this.file!) // one that is ended meanwhile finds no file to rename
    if (flush) await ring.submit(ops.fsync(this.file!))
    await this.close() // which may be where a server says that it has no room
    signal?.throwIfAborted()
    this.#partial = null
  }

  /**
   * Removes what was written unless it is whole, is not ours any more, or is a device. At once: a copy may be ended
   * that cannot stop by itself.
   */
  removePartial(): void {
    const partial = this.#partial
    this.#partial = null
    if (partial === null) return
    try {
      // The file that was written, not a link to it.
      const path = realPath(this.#written)
      if (isSame(lstatSync(path, { bigint: true }), partial)) unlinkSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.notRemoved = error as Error
    }
  }
}

function realPath(path: Path): Path {
  return typeof path === 'string' ? realpathSync(path) : realpathSync.native(path, 'buffer') // the other one takes text only
}

function sameFile(source: Path, target: Path): Error {
  const error = errnoError(-EINVAL, 'copyfile', source, target)
  error.message = `'${source.toString()}' and '${target.toString()}' are the same file`
  return error
}
