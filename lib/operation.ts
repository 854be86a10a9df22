/** One operation of a caller's, from its building to its completion. */
import type { Gathering } from './batch.js'
import type { FixedBuffer, Holding } from './buffers.js'
import type { Engine, EngineBuffer } from './engine.js'
import { currentPosition, IOSQE_ASYNC, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK, Opcode, Request } from './engine.js'
import { abortError, errnoError, errnoOf, invalidState } from './errors.js'
import { cannotBeDetached } from './memory.js'
import type { Ring } from './ring.js'
import type { RingUse } from './ring-uses.js'
import type { FileStats } from './statx.js'
import { parseStatx, statxBytes } from './statx.js'
import { bytesIn } from './vectors.js'

const EBADF = -9
const EFAULT = errnoOf('EFAULT')

/** How an operation ended. */
export interface Completion {
  /** Bytes moved, a descriptor, or 0; a negative errno where an operation of a batch failed. */
  result: number
  /** IORING_CQE_F_* */
  flags: number
}

/** Called with the completion of an operation; `error` is null where it succeeded. */
export type CompletionCallback = (error: Error | null, result: number, flags: number) => void

/** The callback of an operation whose completion is awaited: one for all, for each of its own would cost 10 ns. */
export function settle(this: Operation, error: Error | null, result: number, flags: number): void {
  if (error === null) this.resolve!({ result, flags })
  else this.reject!(error)
}

/** One operation, to be submitted once. */
export class Operation extends Request {
  /** What the kernel is asked for, as errors name it. */
  declare readonly syscall: string
  /** Set by the ring that it is submitted to. @internal */
  declare callback: CompletionCallback | null
  /** Of the promise, where it was submitted for one. @internal */
  declare resolve: ((completion: Completion) => void) | null
  /** @internal */
  declare reject: ((error: Error) => void) | null
  /** The batch that it belongs to, @internal */
  declare batch: Gathering | null
  /** and its place there. @internal */
  declare place: number
  /** The ring that it is submitted to. @internal */
  declare ring: Ring | null
  /** A buffer of a pool that it uses, @internal */
  declare fixed: FixedBuffer | null
  /** and what keeps that from its pool until the completion. */
  private declare _lease: Holding | null
  /** Of a renaming. @internal */
  declare destination: string | Buffer | undefined
  /** Why it is to end early. @internal */
  declare aborted: AbortSignal | null
  /** How many operations it is to the kernel (lib/long-operation.ts). @internal */
  declare span: number
  /** The closing of what it opened, where its caller never learned of it. @internal */
  declare unclaimed: Operation | null

  constructor(opcode: number, syscall: string) {
    super()
    this.opcode = opcode
    this.syscall = syscall
    this.callback = null
    this.resolve = null
    this.reject = null
    this.batch = null
    this.place = 0
    this.ring = null
    this.fixed = null
    this._lease = null
  }

  /**
   * Begins only when every operation that was submitted to the ring before has ended; what is submitted behind it begins when it
   * has ended itself. Cancels and signals wait for neither. Kept by the library: the kernel's own drains hold back its cancels.
   */
  drain(): this {
    return this._flag(IOSQE_IO_DRAIN)
  }

  /**
   * The next of the batch begins when this has succeeded in full; after a failure or a short transfer it is
   * cancelled. To the kernel a statx, renameat or unlinkat that failed is no failure here: it breaks no link. Nor do, to
   * today's kernels, fsync, fdatasync, ftruncate and fallocate on an open file (seen on 6.18; on threads they do): what must
   * not happen after a sync that failed, as the renaming of a new file over the old one, is for a batch of its own.
   */
  link(): this {
    return this._flag(IOSQE_IO_LINK)
  }

  /** The next of the batch begins when this has ended, however it did. */
  hardlink(): this {
    return this._flag(IOSQE_IO_HARDLINK)
  }

  /** A worker of the kernel's does it from the start, where otherwise the submission itself would try. */
  async(): this {
    return this._flag(IOSQE_ASYNC)
  }

  private _flag(flag: number): this {
    this.flags |= flag
    return this
  }

  /** Whether the next operation of a batch belongs to the same chain. @internal */
  get linksNext(): boolean {
    return (this.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) !== 0
  }

  /** Links to nothing: the last of a batch, whose flag would take in a stranger. @internal */
  unlink(): void {
    this.flags &= ~(IOSQE_IO_LINK | IOSQE_IO_HARDLINK)
  }

  /** @throws ERR_INVALID_STATE for a buffer that was released since, EBADF for a file that was unregistered. @internal */
  check(): void {
    void this.fixed?.lease
    if (this.file !== null && this.file.fd < 0) throw errnoError(EBADF, this.syscall)
  }

  /** Keeps its buffer from the pool from here on, also while it waits for admission. @internal */
  submitted(): void {
    if (this.fixed === null) return
    this._lease = this.fixed.lease
    this._lease.retain()
  }

  override completed(result: number, flags: number): void {
    const failure = this.failure(result) // which may still copy into the buffer
    this._lease?.release()
    this.callback!(failure, result, flags)
  }

  /** What went wrong, if something did. @internal */
  failure(result: number): Error | null {
    if (this.aborted !== null) return this._abortion(result)
    return result < 0 ? this.error ?? errnoError(result, this.syscall, this.path ?? undefined, this.destination) : null
  }

  /** Its caller does not learn what it opened. @internal */
  disown(result: number): void {
    if (this.opcode === Opcode.openat && result >= 0) this.unclaimed ??= new ClosingOperation(result, this.ring!.uses.begin())
  }

  private _abortion(result: number): Error {
    const error = abortError(this.aborted!.reason)
    this.disown(result)
    const moved = movedBy(this)
    return moved !== null && result > 0 ? Object.assign(error, { [moved]: result }) : error
  }
}

// As in Request: what few have.
Object.assign(Operation.prototype, { destination: undefined, aborted: null, span: 1, unclaimed: null })

/**
 * What the owner of an operation must know of that was ended too late: his file has changed, or bytes that were read in
 * passing (at the file's own position, from a pipe or a socket) are nowhere but in his memory.
 */
function movedBy({ opcode, position }: Operation): 'bytesRead' | 'bytesWritten' | null {
  switch (opcode) {
    case Opcode.write:
    case Opcode.writev:
    case Opcode.send:
    case Opcode.splice:
      return 'bytesWritten'
    case Opcode.recv:
      return 'bytesRead'
    default:
      return opcode === Opcode.read && position === currentPosition ? 'bytesRead' : null
  }
}

/** Closes what nobody knows of. A ring that closes meanwhile waits for it as for a stream's file. */
class ClosingOperation extends Operation {
  constructor(fd: number, private readonly _use: RingUse) {
    super(Opcode.close, 'close')
    this.file = { fd, index: -1 }
    _use.leaving()
  }

  override completed(result: number, flags: number): void {
    super.completed(result, flags)
    this._use.left()
  }
}

/**
 * A read into a caller's memory. The kernel fills memory of ours, which is copied when it is done: the caller
 * could detach its own meanwhile, and what was freed then may already be somebody else's.
 */
export class ReadOperation extends Operation {
  /** What the caller wants filled. */
  private readonly _targets: readonly Uint8Array[]
  private _noMemory: Error | null = null

  constructor(target: Uint8Array | readonly Uint8Array[], opcode: number = Opcode.read, syscall = 'read') {
    super(opcode, syscall)
    this._targets = target instanceof Uint8Array ? [target] : target
    this.length = bytesIn(this._targets)
  }

  /** Not before: of a hundred thousand reads that wait, only those in flight have memory. */
  override admitted(engine: Engine): void {
    const [first] = this._targets
    if (this._targets.length === 1 && cannotBeDetached(first)) {
      this.memory = first
      return
    }
    try {
      this.buffer = engine.acquireBuffer(this.length)
    } catch (error) {
      this._noMemory = error as Error
      this.file = { fd: -1, index: -1 } // it fails in its place: what is linked to it must see that
    }
  }

  override failure(result: number): Error | null {
    const { buffer } = this
    if (buffer === null) return this._noMemory ?? super.failure(result)
    // A truncated datagram's result can be more than there is room for (MSG_TRUNC).
    const fits = result <= 0 || this._scatter(buffer, Math.min(result, this.length))
    buffer.free()
    return super.failure(result) ?? (fits ? null : invalidState('a buffer was detached while it was read into'))
  }

  private _scatter(buffer: EngineBuffer, bytes: number): boolean {
    let done = 0
    for (const target of this._targets) {
      done += buffer.copyTo(target, done, bytes - done)
      if (done === bytes) break
    }
    return done === bytes
  }
}

/**
 * A write from a caller's memory. The kernel reads that in place: where it was detached or shrunk meanwhile,
 * nobody knows what was written.
 */
export class WriteOperation extends Operation {
  private readonly _bytes: number

  constructor(readonly sources: readonly Uint8Array[], opcode: number, syscall = 'write') {
    super(opcode, syscall)
    this._bytes = bytesIn(sources)
  }

  override failure(result: number): Error | null {
    const stayed = bytesIn(this.sources) >= this._bytes
    // EFAULT: it was gone when its turn came, or its pages were when the kernel looked.
    const says = stayed || this.aborted !== null || (result < 0 && result !== EFAULT)
    return says ? super.failure(result) : invalidState('a buffer was detached while it was being written')
  }
}

/** A read into several buffers. */
export class ReadVectorOperation extends ReadOperation {}

/** Looks at a file. */
export class StatOperation extends Operation {
  constructor(readonly byPath: boolean) {
    super(Opcode.statx, byPath ? 'stat' : 'fstat')
    this.second = new Uint8Array(statxBytes)
  }

  override failure(result: number): Error | null {
    if (!this.byPath && this.aborted === null && result < 0) return errnoError(result, this.syscall)
    return super.failure(result)
  }

  /** What it saw, once it has completed. */
  get stats(): FileStats {
    return parseStatx(this.second!)
  }
}
