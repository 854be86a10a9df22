/** The reads and writes of a copy. */
import { constants } from 'node:os'
import type { Units } from './copy-direct.js'
import { CopyPiece } from './copy-range.js'
import type { CopyRange } from './copy-range.js'
import { ceilTo, floorTo } from './direct.js'
import type { EngineBuffer, OpenFile } from './engine.js'
import { IOSQE_IO_LINK, Opcode, Request } from './engine.js'
import { errnoError } from './errors.js'
import { retried } from './retry.js'
import type { Ring } from './ring.js'

const { ECANCELED, EINVAL, EIO, EOPNOTSUPP } = constants.errno
/** Give the pages back once they are on the disk; leave those that were there before. Linux 6.14. */
const RWF_DONTCACHE = 128

/** A read or write that is started again and again. */
class Transfer extends Request {
  /** It is not to be started again. */
  cancelled = false
  #resolve: ((result: number) => void) | null = null

  constructor(readonly ring: Ring, opcode: number, file: OpenFile, buffer: EngineBuffer) {
    super()
    this.opcode = opcode
    this.file = file
    this.buffer = buffer
  }

  /** Sets what is to be moved, and gives the promise of its result. */
  prepare(position: number, offset: number, length: number, opFlags: number): Promise<number> {
    this.position = position
    this.offset = offset
    this.length = length
    this.opFlags = opFlags
    return new Promise(resolve => { this.#resolve = resolve })
  }

  override completed(result: number): void {
    this.#unlink()
    if (!this.cancelled && retried(this.ring, this, result)) return
    const resolve = this.#resolve!
    this.#resolve = null
    resolve(result)
  }

  /** One that starts again does so alone, and where the engine has gone to meanwhile. */
  #unlink(): void {
    this.flags = 0
    if (this.piece === null) return
    this.position = this.piece.position
    this.length = this.piece.length
    this.piece = this.range = null
  }

  cancel(): void {
    this.cancelled = true
    if (this.#resolve !== null) this.ring.cancel(this)
  }
}

/** What all lanes of a copy have in common. */
export interface Files {
  ring: Ring
  source: OpenFile
  target: OpenFile
  sourcePath: string | Buffer
  targetPath: string | Buffer
  /** Whether reads and writes have positions; pipes and terminals have none. */
  sourceSeeks: boolean
  targetSeeks: boolean
  /** It was emptied: what is not written to it is zeros, and what is written too much can be cut off. */
  targetIsFile: boolean
  /** Lengths of reads and writes are rounded up to multiples of them. */
  units: Units
  /** The target through the page cache, for direct writes that cannot go on; null where there is no such thing. */
  cached: () => Promise<OpenFile | null>
  /** What is left of the source's last unit, for a target that cannot be cut off behind it. */
  tails: Tail[]
  /** Pages are not to be left in the cache; false as soon as the kernel has said that it cannot do that by itself. */
  uncached: boolean
  /** Reads and writes that were started. */
  operations: number
}

/** Bytes that are to be written last, through the page cache. */
export interface Tail { position: number, bytes: Uint8Array }

/** What became of the last piece: fewer bytes than its length where the source ended. */
export interface Carried { position: number, length: number, bytes: number }

/** One buffer, and what it carries from the source to the target. */
export class Lane {
  readonly #read: Transfer
  readonly #write: Transfer
  readonly #piece = new CopyPiece()

  constructor(readonly files: Files, readonly buffer: EngineBuffer) {
    this.#read = new Transfer(files.ring, Opcode.read, files.source, buffer)
    this.#write = new Transfer(files.ring, Opcode.write, files.target, buffer)
  }

  /**
   * Carries a piece over, and tells of the last one that it carried.
   *
   * @param linked the write is submitted along with the read
   * @param range where the engine then takes further pieces from by itself
   * @throws errors of `read` and `write` with the path of their file
   */
  async carry(position: number, length: number, linked = false, range: CopyRange | null = null): Promise<Carried> {
    this.#piece.set(position, length)
    const whole = length % this.files.units.read === 0
    const { got, written } = linked && whole ? await this.#carryLinked(range) : { got: await this.#readPiece(), written: 0 }
    const piece = { position: this.#piece.position, length: this.#piece.length }
    const all = await this.#readRest(piece.position, piece.length, got)
    await this.#writeAll(piece.position, written, all)
    return { ...piece, bytes: Math.min(all, piece.length) }
  }

  async #readPiece(): Promise<number> {
    const { units: { read: unit }, sourcePath } = this.files
    return checked(await this.#readSome(this.#piece.position, 0, ceilTo(unit, this.#piece.length)), 'read', sourcePath)
  }

  /** A pipe gives what it has, and the next piece is the next; a file that gives less has ended, or was interrupted. */
  async #readRest(position: number, length: number, got: number): Promise<number> {
    const { units: { read: unit }, sourceSeeks, sourcePath } = this.files
    while (sourceSeeks && got > 0 && got < length && got % unit === 0) {
      const more = checked(await this.#readSome(position + got, got, ceilTo(unit, length) - got), 'read', sourcePath)
      if (more === 0) break
      got += more
    }
    return got
  }

  /** The write begins in the kernel when the read has ended: nothing of JavaScript is between the two. */
  async #carryLinked(range: CopyRange | null): Promise<{ got: number, written: number }> {
    const { ring, sourcePath, targetPath } = this.files
    const { position, length } = this.#piece
    const flags = this.#flags
    const ends = Promise.all([this.#read.prepare(position, 0, length, flags), this.#write.prepare(position, 0, length, flags)])
    this.#read.flags = IOSQE_IO_LINK
    this.#read.chain = [this.#read, this.#write]
    this.#read.piece = this.#write.piece = this.#piece
    this.#write.range = range
    this.files.operations += 2
    ring.start(this.#read)
    const [read, written] = await ends
    // A short read, or one that is refused, breaks the link: the write is as if it had never been asked for.
    if (this.#refused(read)) return this.#carryLinked(range)
    const got = checked(read, 'read', sourcePath)
    if (this.#refused(written) || this.#isStuck(written)) return { got, written: 0 }
    return { got, written: written === -ECANCELED && !this.#write.cancelled ? 0 : checked(written, 'write', targetPath) }
  }

  async #writeAll(position: number, written: number, length: number): Promise<void> {
    const { units: { write: unit }, targetPath, targetIsFile } = this.files
    // Past the end of a file whose size is no multiple: cut off when the copy is done.
    const end = targetIsFile ? ceilTo(unit, length) : floorTo(unit, length)
    let done = floorTo(unit, written)
    while (done < end) {
      const result = await this.#writeSome(position + done, done, end - done)
      const moved = this.#isStuck(result) ? 0 : checked(result, 'write', targetPath)
      const whole = done + moved === end ? moved : floorTo(unit, moved)
      if (whole === 0) await this.#writeCached(position, done, Math.min(end, length), result)
      done = whole === 0 ? end : done + whole
    }
    if (end < length) this.#keepTail(position + end, end, length - end)
  }

  /** Across a limit of the target's size the kernel refuses a direct write, for what it would take is no whole blocks. */
  #isStuck(result: number): boolean {
    return result === -EINVAL && this.files.units.write > 1
  }

  /** Where not even a unit can be written: what fits, and why there is no more. @param result what a direct write gave */
  async #writeCached(position: number, from: number, to: number, result: number): Promise<void> {
    const { targetPath, units, target, cached } = this.files
    const stuck = errnoError(result < 0 ? result : -EIO, 'write', targetPath)
    const file = units.write > 1 && result !== 0 ? await cached() : null
    if (file === null) throw stuck
    this.#write.file = file
    try {
      for (let done = from; done < to;) {
        const moved = checked(await this.#writeSome(position + done, done, to - done), 'write', targetPath)
        if (moved === 0) throw stuck
        done += moved
      }
    } finally {
      this.#write.file = target
    }
    if (result < 0) throw stuck // not for a limit
  }

  #keepTail(position: number, offset: number, length: number): void {
    const bytes = new Uint8Array(length)
    this.buffer.copyTo(bytes, offset, length)
    this.files.tails.push({ position, bytes })
  }

  async #readSome(position: number, offset: number, length: number): Promise<number> {
    const result = await this.#run(this.#read, this.files.sourceSeeks ? position : -1, offset, length)
    return this.#refused(result) ? this.#readSome(position, offset, length) : result
  }

  async #writeSome(position: number, offset: number, length: number): Promise<number> {
    const result = await this.#run(this.#write, this.files.targetSeeks ? position : -1, offset, length)
    return this.#refused(result) ? this.#writeSome(position, offset, length) : result
  }

  #run(transfer: Transfer, position: number, offset: number, length: number): Promise<number> {
    if (transfer.cancelled) return Promise.resolve(-ECANCELED)
    const ended = transfer.prepare(position, offset, length, this.#flags)
    this.files.operations++
    this.files.ring.start(transfer)
    return ended
  }

  get #flags(): number {
    return this.files.uncached ? RWF_DONTCACHE : 0
  }

  /** The kernel or the file system does not know the flag: from here on without it. */
  #refused(result: number): boolean {
    if (result !== -EOPNOTSUPP || this.#read.opFlags === 0) return false
    this.files.uncached = false
    return true
  }

  cancel(): void {
    this.#read.cancel()
    this.#write.cancel()
  }
}

function checked(result: number, syscall: string, path: string | Buffer): number {
  if (result < 0) throw errnoError(result, syscall, path)
  return result
}
