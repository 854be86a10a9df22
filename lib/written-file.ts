/** The file under a stream that writes: space ahead, and at the end the disk and the target's place. */
import { constants } from 'node:fs'
import { constants as system } from 'node:os'
import { AtomicFile } from './atomic-file.js'
import { Opcode, RWF_DSYNC, RWF_SYNC } from './engine.js'
import { invalidArgValue, named } from './errors.js'
import type { StreamFileOptions } from './stream-file.js'
import { FileRequest, StreamFile } from './stream-file.js'
import type { WriteBehind } from './write-behind.js'
import type { WriteTarget } from './write-window.js'

/** When a write is over: with its data on the disk, or with everything that belongs to the file. */
export type SyncChoice = 'data' | 'full'

export interface DurabilityOptions {
  /** Whether everything is on the disk before the stream has finished: an error of that is the stream's. Default false. */
  flush?: boolean | undefined
  /**
   * Each write is over when it is on the disk: 'data' with its data and what is needed to find them (RWF_DSYNC), 'full'
   * with times and all (RWF_SYNC). On libuv's threads a sync follows each write. Default: when the kernel has it.
   */
  sync?: SyncChoice | undefined
  /**
   * The file takes the place of `path` as a whole when the stream finishes, and is on the disk then; until then, and
   * after an error or `destroy`, what was there stays as it was. Default false.
   */
  atomic?: boolean | undefined
  /**
   * Bytes of space to allocate when the file is open; at the end it is cut to what was written. Nothing is allocated where
   * the file system cannot, nor without the addon.
   */
  preallocate?: number | undefined
}

interface WrittenFileOptions extends StreamFileOptions, DurabilityOptions {
  start?: number | undefined
}

type Done = (error: Error | null) => void

const { EINVAL, ENOSYS, EOPNOTSUPP } = system.errno

export class WrittenFile extends StreamFile {
  protected override readonly access = constants.O_WRONLY
  readonly #options: WrittenFileOptions
  #atomic: AtomicFile | null = null
  #allocated = false
  /** Everything that follows the last write has been done. */
  #finished = false
  /** It is being done. */
  #finishing = false
  #idle: (() => void) | null = null

  constructor(path: ConstructorParameters<typeof StreamFile>[0], options: WrittenFileOptions) {
    super(path, options, [])
    this.#options = options
  }

  /** What a window of writes must know of it, once it is open. */
  get forWriting(): WriteTarget {
    const { ring, file, facts, direct } = this
    return { ring, file: file!, facts, synced: this.#synced, allocated: this.#allocated, shared: this.given !== null, direct, writeFlags: this.#writeFlags }
  }

  /** Where what is known to be on the disk ends. @param window of its writes, if it was opened */
  flushedPosition(window: WriteBehind | null): number {
    if (window === null) return this.#options.start ?? 0
    return this.#isDurable ? window.position : window.flushedPosition
  }

  /** Moves a given descriptor behind what was written; what is appended ends where the file does, wherever it began. */
  leaveAfter({ position, written, isShared }: WriteBehind): void {
    if (isShared || written === 0) return // the window has left it there, and others may have gone on
    if (!this.facts.append || this.file === null) return this.leaveAt(position)
    this.ring.engine.inspect(this.file.fd, (error, { size }) => {
      if (error === null) this.leaveAt(size)
    })
  }

  get #synced(): boolean {
    const { flush, atomic } = this.#options
    return flush === true || atomic === true
  }

  /** RWF_* of each write. */
  get #writeFlags(): number {
    const { sync } = this.#options
    return sync === undefined ? 0 : sync === 'data' ? RWF_DSYNC : RWF_SYNC
  }

  /** Where the first byte goes. */
  get #begin(): number {
    return this.#options.start ?? Math.max(this.facts.position, 0)
  }

  /** Cuts off what lies behind what was written; where that is nothing, the file has not come to reach its beginning. */
  #cut(position: number, done: Done): void {
    this.cutAt(position > this.#begin ? position : 0, done)
  }

  override open(flags: string | number, mode: string | number, opened: Done): void {
    super.open(flags, mode, error => error === null ? this.#allocate(opened) : opened(error))
  }

  protected override openPath(path: string | Buffer, flags: string | number, mode: string | number, opened: Done): void {
    if (!this.#options.atomic) return super.openPath(path, flags, mode, opened)
    // Out of the promise: what `opened` throws is no rejection.
    const later = (error: Error | null): void => process.nextTick(opened, error)
    AtomicFile.beside(this.ring, path).then(atomic => {
      this.#atomic = atomic
      super.openPath(atomic.temporary, 'wx', mode, error => {
        if (error === null) atomic.resemble(this.file!.fd).then(() => later(null), later)
        else later(named(error, path)) // not by the temporary name
      })
    }, later)
  }

  #allocate(opened: Done): void {
    const { preallocate } = this.#options
    if (preallocate === undefined) return opened(null)
    // Others who append would do so behind the space, and lose what they wrote when it is cut.
    if (this.facts.append) return opened(invalidArgValue('options.preallocate', preallocate, 'is not for files that are appended to'))
    this.#allocated = true
    const request = new FileRequest('fallocate', (error, result) => {
      if (error === null || [-ENOSYS, -EOPNOTSUPP, -EINVAL].includes(result)) return opened(null) // not here
      this.cutAt(0, () => opened(error)) // part of it may have been allocated
    })
    request.opcode = Opcode.fallocate
    request.file = this.file
    request.position = this.#begin
    request.address = preallocate
    this.ring.start(request)
  }

  /**
   * Everything is written, up to `position`. Does what the options ask for, in this order: cuts what was allocated and
   * not written, waits for the disk, puts the file in its target's place.
   * The sync is not linked to the last write: the others would have to be over first, and 4 KiB with their fsync take as
   * long either way (389 and 388 us, Linux 6.18, ext4).
   */
  finish(position: number, done: Done): void {
    const { flush, atomic } = this.#options
    if (!this.#allocated && !atomic && !flush) return done(null)
    this.#finishing = true
    const finished = (error: Error | null): void => {
      this.#finishing = false
      this.#finished = error === null
      this.#idle?.()
      done(error)
    }
    const synced = (): void => {
      if (atomic) this.#commit(finished)
      else if (flush) this.sync(finished)
      else finished(null)
    }
    // What cannot be cut off would be taken for something that was written.
    if (this.#allocated) this.#cut(position, error => error === null ? synced() : finished(error))
    else synced()
  }

  #commit(done: Done): void {
    const later = (error: Error | null): void => process.nextTick(done, error)
    this.#atomic!.commit(this.file!).then(() => later(null), later)
  }

  /** Whether what was written is known to be on the disk, once it has finished. */
  get #isDurable(): boolean {
    return this.#finished && this.#synced
  }

  /**
   * Before the file is closed: where it has not finished, undoes what only a finished one may leave behind.
   * @param position where what was written without a gap ends
   * @param failed a write has: later ones may have left something behind it
   */
  abandon(position: number, failed: boolean, done: () => void): void {
    if (this.#finishing) {
      this.#idle = () => this.abandon(position, failed, done)
      // Its commit fails now, unless it is past the renaming.
      this.#atomic?.discard().catch(() => {})
    } else if (this.#finished || this.file === null) done()
    else if (this.#atomic !== null) this.#atomic.discard().catch(() => {}).then(() => process.nextTick(done))
    else if (failed || this.#allocated) this.#cut(position, () => done())
    else done()
  }
}
