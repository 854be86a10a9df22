/** The reads and writes of a copy. */
import { constants } from 'node:os'
import { ceilTo, floorTo } from './direct.js'
import type { EngineBuffer, OpenFile } from './engine.js'
import { IOSQE_IO_LINK, Opcode, Request } from './engine.js'
import { errnoError } from './errors.js'
import { retried } from './retry.js'
import type { Ring } from './ring.js'

const { ECANCELED, EIO, EOPNOTSUPP } = constants.errno
/** Read only what is in the page cache (preadv2(2)). */
const RWF_NOWAIT = 8
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
    this.flags = 0 // one that starts again is no longer linked to its neighbour
    if (!this.cancelled && this.opFlags !== RWF_NOWAIT && retried(this.ring, this, result)) return
    const resolve = this.#resolve!
    this.#resolve = null
    resolve(result)
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
  /** Lengths of reads and writes are rounded up to multiples of it; 1 but for direct ones. */
  alignment: number
  /** Pages are not to be left in the cache; false as soon as the kernel has said that it cannot do that by itself. */
  uncached: boolean
  /** Reads and writes that were started. */
  operations: number
}

/** One buffer, and what it carries from the source to the target. */
export class Lane {
  readonly #read: Transfer
  readonly #write: Transfer

  constructor(readonly files: Files, readonly buffer: EngineBuffer) {
    this.#read = new Transfer(files.ring, Opcode.read, files.source, buffer)
    this.#write = new Transfer(files.ring, Opcode.write, files.target, buffer)
  }

  /**
   * Carries a piece over. Resolves with its bytes: fewer than asked for where the source ended.
   *
   * @param linkedPair the write is submitted along with the read
   * @throws errors of `read` and `write` with the path of their file
   */
  async carry(position: number, length: number, linkedPair = false): Promise<number> {
    const aligned = ceilTo(this.files.alignment, length)
    const linked = linkedPair ? await this.#carryLinked(position, length) : null
    let { got, written } = linked ?? { got: checked(await this.#readSome(position, 0, aligned), 'read', this.files.sourcePath), written: 0 }
    // A pipe gives what it has, and the next piece is the next; a file that gives less has ended, or was interrupted.
    while (this.files.sourceSeeks && got > 0 && got < length && got % this.files.alignment === 0) {
      const more = checked(await this.#readSome(position + got, got, aligned - got), 'read', this.files.sourcePath)
      if (more === 0) break
      got += more
    }
    await this.#writeAll(position, written, got)
    return Math.min(got, length)
  }

  /** The write begins in the kernel when the read has ended: nothing of JavaScript is between the two. */
  async #carryLinked(position: number, length: number): Promise<{ got: number, written: number }> {
    const { ring, sourcePath, targetPath } = this.files
    const flags = this.#flags
    const ends = Promise.all([this.#read.prepare(position, 0, length, flags), this.#write.prepare(position, 0, length, flags)])
    this.#read.flags = IOSQE_IO_LINK
    this.#read.chain = [this.#read, this.#write]
    this.files.operations += 2
    ring.start(this.#read)
    const [read, written] = await ends
    // A short read, or one that is refused, breaks the link: the write is as if it had never been asked for.
    if (this.#refused(read)) return this.#carryLinked(position, length)
    const got = checked(read, 'read', sourcePath)
    if (this.#refused(written)) return { got, written: 0 }
    return { got, written: written === -ECANCELED && !this.#write.cancelled ? 0 : checked(written, 'write', targetPath) }
  }

  async #writeAll(position: number, written: number, length: number): Promise<void> {
    const { alignment, targetPath } = this.files
    // Past the end of a file whose size is no multiple: cut off when the copy is done.
    const end = ceilTo(alignment, length)
    let done = written
    while (done < end) {
      const moved = checked(await this.#writeSome(position + done, done, end - done), 'write', targetPath)
      const whole = done + moved === end ? moved : floorTo(alignment, moved)
      if (whole === 0) throw errnoError(-EIO, 'write', targetPath)
      done += whole
    }
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

/** Whether the bytes at these positions are in the page cache. */
export async function isCached({ ring, source }: Files, positions: readonly number[]): Promise<boolean> {
  const buffer = ring.engine.acquireBuffer(1)
  try {
    for (const position of positions) {
      const look = new Transfer(ring, Opcode.read, source, buffer)
      const ended = look.prepare(position, 0, 1, RWF_NOWAIT)
      ring.start(look)
      if (await ended <= 0) return false
    }
    return true
  } finally {
    buffer.free()
  }
}

function checked(result: number, syscall: string, path: string | Buffer): number {
  if (result < 0) throw errnoError(result, syscall, path)
  return result
}
