/** Reads into views of the caller's, one after the other. */
import type { OpenFile } from './engine.js'
import { currentPosition, Opcode, Request } from './engine.js'
import { errnoError } from './errors.js'
import { pageBytes } from './heap-buffer.js'
import { operationBytesMax } from './options.js'
import { retried } from './retry.js'
import type { Ring } from './ring.js'

/**
 * Reads straight into a view. Its memory must be nobody else's until the end, so that nobody can detach it: a byte
 * stream transfers the buffers of its reads to itself.
 */
export class ViewRead extends Request {
  filled = 0
  failure: Error | null = null
  private _bytes = 0
  private _place = 0
  private _ended: (() => void) | null = null
  private _stopped: (() => void) | null = null
  /** Where the views are has been looked at. */
  private _placed = false

  /**
   * @param once what the first read brings is all: the next might wait
   * @param end where in the file reading ends, as far as is known
   */
  constructor(readonly ring: Ring, file: OpenFile, readonly once: boolean, readonly end: number) {
    super()
    this.opcode = Opcode.read
    this.file = file
  }

  /**
   * @param position in the file; `currentPosition` for its own
   * @param ended called when it is over, however it ended; then `filled` and `failure` say how
   */
  run(view: Uint8Array, bytes: number, position: number, ended: () => void): void {
    this.memory = view
    this._bytes = bytes - this._bytesToLeave(view, bytes, position)
    this._place = position
    this._ended = ended
    this.filled = 0
    this._start()
  }

  /** Of the second view: one alone is filled, and so is the one that the file ends in. */
  private _bytesToLeave(view: Uint8Array, bytes: number, position: number): number {
    if (this._placed || this.once || this.filled === 0) return 0
    this._placed = true
    return position + bytes < this.end ? bytesToLeave(this.ring.engine.pageOffset(view), position) : 0
  }

  private _start(): void {
    this.offset = this.filled
    this.length = Math.min(this._bytes - this.filled, operationBytesMax)
    this.position = this._place === currentPosition ? currentPosition : this._place + this.filled
    this.ring.start(this)
  }

  get isRunning(): boolean {
    return this._ended !== null
  }

  override completed(result: number): void {
    const stopped = this._stopped !== null // EINTR is how Linux 6.1 stops a read of a pipe
    if (!stopped && retried(this.ring, this, result)) return
    if (result < 0) this.failure = this.error ?? errnoError(result, 'read')
    else this.filled += result
    if (result > 0 && !stopped && !this.once && this.filled < this._bytes) return this._start()
    const ended = this._ended!
    this._ended = this.memory = null
    this._stopped?.()
    ended()
  }

  /** Cancels it and waits until it is over. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    const stopped = new Promise<void>(resolve => { this._stopped = resolve })
    this.ring.cancel(this)
    await stopped
  }
}

/** A cache line: what a view's read is cut by, so that the next ones are copied from a better place. */
const lineBytes = 64

/**
 * How many bytes a view's read had better leave to the next one. Where the kernel copies (rep movsb) to a little further
 * behind in a page than from, some processors are slow: a MiB from a page's beginning to V8's own large memory, which
 * begins 16 bytes into a page, took 140 to 165 us, and 50 to 60 us from anywhere else in the page (AMD EPYC, Linux 6.18;
 * glibc's bug 30994 is the same). A stream's views come again in the same place, so one that is not quite filled is enough.
 *
 * @param pageOffset bytes that the view begins behind the beginning of a page
 * @param position in the file; the page cache's pages are as the file's
 */
function bytesToLeave(pageOffset: number, position: number): number {
  const behind = (pageOffset - position % pageBytes + pageBytes) % pageBytes
  return behind > 0 && behind < lineBytes ? lineBytes : 0
}
