/** Reads into views of the caller's, one after the other. */
import type { OpenFile } from './engine.js'
import { currentPosition, Opcode, Request } from './engine.js'
import { errnoError } from './errors.js'
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

  /** @param once what the first read brings is all: the next might wait */
  constructor(readonly ring: Ring, file: OpenFile, readonly once: boolean) {
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
    this._bytes = bytes
    this._place = position
    this._ended = ended
    this.filled = 0
    this._start()
  }

  private _start(): void {
    this.offset = this.filled
    this.length = this._bytes - this.filled
    this.position = this._place === currentPosition ? currentPosition : this._place + this.filled
    this.ring.start(this)
  }

  get isRunning(): boolean {
    return this._ended !== null
  }

  override completed(result: number): void {
    if (retried(this.ring, this, result)) return
    if (result < 0) this.failure = this.error ?? errnoError(result, 'read')
    else this.filled += result
    if (result > 0 && !this.once && this.filled < this._bytes) return this._start()
    const ended = this._ended!
    this._ended = this.memory = null
    ended()
  }
}
