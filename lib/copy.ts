/** copyFile: a clone where the file system shares blocks, else reads and writes of the ring. */
import type { BigIntStats, StatsBase } from 'node:fs'
import { constants, fchmod, fchown, fstatSync, futimes, lstatSync } from 'node:fs'
import { constants as os } from 'node:os'
import { promisify } from 'node:util'
import { onAbort } from './abort.js'
import type { CopyOptions, CopyPlan, CopyProgress } from './copy-options.js'
import { copyPlan } from './copy-options.js'
import type { Content } from './copy-direct.js'
import { chooseUnits, isCached } from './copy-direct.js'
import { Pipeline, progressOf } from './copy-pipeline.js'
import { CopyTarget } from './copy-target.js'
import type { Files } from './copy-transfer.js'
import type { OpenFile } from './engine.js'
import type { SystemError } from './errors.js'
import { abortError, errnoError, named } from './errors.js'
import { cloneFile, copyXattrs, dropCache, setTimes } from './file-calls.js'
import { closeFile, openFile } from './open-files.js'
import { ops } from './operations.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'
import { writeWhole } from './transfers.js'

/** Of which stat counts blocks, whatever the file system has. */
const blockBytes = 512
const { EIO, EISDIR, ENOSYS, EXDEV } = os.errno
type Path = string | Buffer

export interface CopyResult {
  /** Of the target. */
  bytes: number
  seconds: number
  /**
   * 'clone': blocks are shared; 'direct': past the page cache; 'buffered': through it. Of a large source (Linux 6.5) what is
   * there is read from there, and the rest past it, in either way unless `direct` was asked for.
   */
  method: 'clone' | 'direct' | 'buffered'
  /** Reads and writes that were needed. */
  operations: number
}

/** Devices whose file system has said that it does not clone. */
const cloneless = new Set<bigint>()
const cloneRefusals: readonly number[] = ['ENOSYS', 'ENOTTY', 'EOPNOTSUPP', 'EXDEV'].map(code => -os.errno[code as 'ENOSYS'])

class FileCopy {
  readonly #target: CopyTarget
  #source: OpenFile | null = null
  #pipeline: Pipeline | null = null
  #aborted = false
  /** By onProgress: its caller's own, also where it looks like a failure of the system's. */
  thrown: unknown

  constructor(readonly plan: CopyPlan, readonly sourcePath: Path, readonly targetPath: Path, readonly regularOnly: boolean) {
    this.#target = new CopyTarget(plan, targetPath)
    const { onProgress } = plan
    if (onProgress !== undefined) plan.onProgress = progress => this.#told(onProgress, progress)
  }

  async run(): Promise<CopyResult> {
    const { ring, signal } = this.plan
    ring.uses.refuseLate()
    const use = ring.uses.begin()
    const forget = signal === undefined ? null : onAbort(signal, () => this.#abort())
    const began = performance.now()
    try {
      const done = await this.#copy()
      await this.#target.finish().catch(error => { throw named(error, this.targetPath) })
      return { ...done, seconds: (performance.now() - began) / 1000 }
    } catch (error) {
      this.#target.removePartial()
      const { notRemoved } = this.#target // it may be that the abort found it so
      const cause = this.#aborted ? abortError(signal!.reason) : error as Error
      throw notRemoved === null ? cause : Object.assign(cause, { notRemoved })
    } finally {
      forget?.()
      use.leaving()
      await this.#close()
      use.left()
    }
  }

  async #copy(): Promise<Omit<CopyResult, 'seconds'>> {
    const { ring, signal } = this.plan
    // The source first: if it cannot be read, the target must not have been touched.
    if (this.regularOnly) this.#refuseOther(lstatSync(this.sourcePath, { throwIfNoEntry: false }))
    const flags = constants.O_RDONLY | (this.regularOnly ? constants.O_NOFOLLOW : 0) // what has become a link only now is ELOOP
    const source = this.#source = await openFile(ring, this.sourcePath, flags, 0, signal)
    const from = fstatSync(source.fd, { bigint: true }) // just opened: nothing to wait for
    if (this.regularOnly) this.#refuseOther(from)
    if (from.isDirectory()) throw errnoError(-EISDIR, 'read', this.sourcePath)
    await this.#target.open(this.sourcePath, from)
    this.#throwIfAborted()
    const done = await this.#clone(source, from) ?? await this.#transfer(source, from)
    this.#throwIfAborted()
    await this.#preserve(source, from)
    this.#throwIfAborted()
    return done
  }

  /** @param found undefined: nothing is there, as the opening will say */
  #refuseOther(found?: StatsBase<unknown>): void {
    if (found !== undefined && !found.isFile()) throw new Error(`'${this.sourcePath.toString()}' is no regular file any more`)
  }

  /** Shares blocks; null where they must be copied. */
  async #clone(source: OpenFile, from: BigIntStats): Promise<Omit<CopyResult, 'seconds'> | null> {
    const { reflink, onProgress } = this.plan
    const { file, facts } = this.#target
    if (reflink === 'never') return null
    const possible = from.isFile() && facts!.isFile() && from.dev === facts!.dev
    if (reflink === 'auto' && (!possible || from.size === 0n || cloneless.has(from.dev))) return null
    let result = possible ? await cloneFile(source.fd, file!.fd) : -EXDEV
    if (possible && cloneRefusals.includes(result)) cloneless.add(from.dev)
    else if (possible && (result >= 0 || facts!.size > from.size)) {
      await this.#target.empty()
      // What was there may reach further, or have been in the way because it does.
      if (facts!.size > 0n) result = await cloneFile(source.fd, file!.fd)
    }
    if (result < 0 && reflink === 'always') throw errnoError(result, 'ioctl', this.targetPath)
    if (result < 0) return null
    const bytes = Number(fstatSync(file!.fd, { bigint: true }).size)
    onProgress?.(progressOf(bytes, bytes, 0))
    return { bytes, method: 'clone', operations: 0 }
  }

  async #transfer(source: OpenFile, from: BigIntStats): Promise<Omit<CopyResult, 'seconds'>> {
    const { plan } = this
    const { file, facts } = this.#target
    const [sourceSeeks, targetSeeks] = [seeks(from), seeks(facts!)]
    const content: Content = { fd: source.fd, size: Number(from.size), allocated: Number(from.blocks) * blockBytes }
    const units = await chooseUnits(plan,
      { ...content, path: this.sourcePath, suits: sourceSeeks },
      { fd: file!.fd, path: this.targetPath, suits: await this.#targetSuits() })
    const keepsCache = plan.dropCache && await isCached(content)
    this.#throwIfAborted()
    // Not before all that can be refused without it was: then what was there is as it was.
    await this.#target.empty()
    const direct = units.write > 1
    const files: Files = {
      ring: plan.ring, source, target: file!, sourcePath: this.sourcePath, targetPath: this.targetPath, sourceSeeks, targetSeeks,
      targetIsFile: facts!.isFile(), cached: () => this.#target.cached(), tails: [], units,
      uncached: plan.dropCache && !direct && plan.ring.engine.kind === 'uring', operations: 0
    }
    this.#throwIfAborted()
    this.#pipeline = new Pipeline(files, plan, from.isFile() ? Number(from.size) : 0)
    const bytes = await this.#pipeline.run()
    await this.#writeTails(files)
    if (facts!.isFile()) await this.#settleSize(file!.fd, bytes, this.#pipeline.allocated)
    if (plan.dropCache && !direct && !files.uncached) {
      if (sourceSeeks && !keepsCache) this.#check(await dropCache(source.fd), 'fadvise')
      if (targetSeeks) this.#check(await dropCache(file!.fd), 'fadvise')
    }
    return { bytes, method: direct ? 'direct' : 'buffered', operations: files.operations }
  }

  /** Of a device's last unit only a part is written, through the page cache: where that cannot be, no direct copy begins. */
  async #targetSuits(): Promise<boolean> {
    const { facts } = this.#target
    if (facts!.isFile()) return true
    return facts!.isBlockDevice() && (!this.plan.direct || await this.#target.cached() !== null)
  }

  /** When no direct write is in flight any more. */
  async #writeTails({ tails }: Files): Promise<void> {
    for (const { position, bytes } of tails) {
      const cached = await this.#target.cached()
      const written = await writeWhole(bytes.length, position, async (done, at) => {
        this.#throwIfAborted()
        return (await this.plan.ring.submit(ops.write(cached!, bytes.subarray(done), at))).result
      }).catch(error => { throw named(error, this.targetPath) })
      if (written < bytes.length) this.#check(-EIO, 'write')
    }
  }

  /**
   * A hole at its end is not written, the last block of a direct copy has more than belongs there, and what was allocated
   * for a source that ended early is not needed.
   */
  async #settleSize(fd: number, bytes: number, allocated: number): Promise<void> {
    const { size } = fstatSync(fd, { bigint: true })
    if (size !== BigInt(bytes) || allocated > bytes) await this.#target.truncate(bytes)
  }

  async #preserve(source: OpenFile, from: BigIntStats): Promise<void> {
    const { mode, ownership, timestamps, xattrs } = this.plan.preserve
    const { fd } = this.#target.file!
    // In this order: a change of the owner clears the set-user-id bit, and all of it changes times.
    const owned = ownership === false || await this.#giveAway(fd, from, ownership === 'prefer')
    if (xattrs !== false) this.#check(await copyXattrs(source.fd, fd, xattrs === 'prefer'), 'setxattr')
    if (mode) await promisify(fchmod)(fd, Number(from.mode) & (owned ? 0o7777 : 0o1777))
    if (!timestamps) return
    // Those that it had when it was opened: reading has changed one, and what was written to it since may not be in the copy.
    const result = await setTimes(fd, from.atimeNs, from.mtimeNs)
    if (result !== -ENOSYS) this.#check(result, 'futime')
    else await promisify(futimes)(fd, Number(from.atimeNs) / 1e9, Number(from.mtimeNs) / 1e9)
  }

  /** Gives whether user and group are now those of the source. @param prefer what is not permitted is no failure */
  async #giveAway(fd: number, { uid, gid }: BigIntStats, prefer: boolean): Promise<boolean> {
    for (const user of prefer ? [Number(uid), -1] : [Number(uid)]) {
      try {
        await promisify(fchown)(fd, user, Number(gid))
        return user !== -1
      } catch (error) {
        // EINVAL: of a user that this user namespace does not have.
        if (!prefer || !['EPERM', 'EINVAL'].includes((error as SystemError).code)) throw named(error as Error, this.targetPath)
      }
    }
    return false
  }

  #check(result: number, syscall: string): void {
    if (result < 0) throw errnoError(result, syscall, this.targetPath)
  }

  #told(onProgress: (progress: CopyProgress) => void, progress: CopyProgress): void {
    try {
      onProgress(progress)
    } catch (error) {
      this.thrown = error
      throw error
    }
  }

  #abort(): void {
    this.#aborted = true
    // Not when all is over: what is in flight may never end (a read from a pipe, in a thread).
    this.#target.removePartial()
    this.#pipeline?.fail(abortError(this.plan.signal!.reason))
  }

  #throwIfAborted(): void {
    if (this.#aborted) throw abortError(this.plan.signal!.reason)
  }

  async #close(): Promise<void> {
    const source = this.#source
    this.#source = null
    // What went wrong before is what the caller is told.
    await this.#target.close().catch(() => {})
    if (source !== null) await closeFile(this.plan.ring, source).catch(() => {})
  }
}

/** Whether it has positions to read from and to write to. */
function seeks(facts: BigIntStats): boolean {
  return facts.isFile() || facts.isBlockDevice()
}

/** A failure of one file, as that of the copy: with both paths. */
function shaped(error: SystemError & { notRemoved?: Error }, source: Path, target: Path): Error {
  if (typeof error.errno !== 'number') return error
  const whole = errnoError(error.errno, error.syscall, source, target)
  if (error.notRemoved !== undefined) Object.assign(whole, { notRemoved: error.notRemoved })
  whole.cause = error
  return whole
}

/**
 * Copies a file: by sharing its blocks where the file system can (`reflink`), else by reads and writes of the ring,
 * several at once. Holes stay holes. The target gets the permission bits of the source, less the umask; one that exists
 * is overwritten, and keeps its own. Pipes and devices are read to their end, and written to as they are.
 *
 * Rejects in Node's shape, `ENOSPC: no space left on device, write '/a' -> '/b'`, with `path` and `dest`; the error's
 * `cause` names the one file that failed. With EINVAL for a file onto itself. Whenever it rejects, the partial target has
 * been removed (an error that has `notRemoved` says why it could not be), or with `atomic` is what it was before. It is
 * that, too, where something that is asked for is refused before the first byte: `direct: true`, `reflink: 'always'`.
 *
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE by the promise; AbortError
 */
export async function copyFile(source: PathLike, target: PathLike, options?: CopyOptions): Promise<CopyResult> {
  return copy(source, target, options, false)
}

/**
 * The same of what was a regular file when its tree was looked at, and is to be copied only if it is one still: a link may lead
 * out of the tree, and a FIFO keep the copy for ever. @internal
 */
export async function copyRegularFile(source: PathLike, target: PathLike, options?: CopyOptions): Promise<CopyResult> {
  return copy(source, target, options, true)
}

async function copy(source: PathLike, target: PathLike, options: CopyOptions = {}, regularOnly: boolean): Promise<CopyResult> {
  const [from, to, plan] = [validPath(source), validPath(target), copyPlan(options)]
  if (plan.signal?.aborted) throw abortError(plan.signal.reason)
  const one = new FileCopy(plan, from, to, regularOnly)
  try {
    return await one.run()
  } catch (error) {
    throw error === one.thrown ? error : shaped(error as SystemError, from, to)
  }
}
