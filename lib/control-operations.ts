/** Operations that concern others: cancels, and timeouts. */
import { Opcode } from './engine.js'
import { Operation } from './operation.js'
import type { Ring } from './ring.js'

const [ENOENT, ETIME, EALREADY] = [-2, -62, -114]

/** Ends another operation early. */
export class CancelOperation extends Operation {
  private readonly _target: Operation

  constructor(target: Operation) {
    super(Opcode.cancel, 'cancel')
    this._target = target
  }

  override admitted(): void {
    this.address = this._target.ring === this.ring ? (this._target.waiter ?? this._target).slot : -1
  }

  /**
   * In a full ring it would wait for what it is to end. The engine keeps a place for cancels of its own, which tell
   * nobody what they found.
   */
  hurry(ring: Ring): void {
    const target = this._target.waiter ?? this._target
    const first = target.chain?.[0] ?? target
    if (this._target.ring !== ring || (target.slot < 0 && !first.queued)) return
    this.opcode = Opcode.nop
    process.nextTick(() => ring.cancel(target)) // callbacks are never called by a submission
  }
}

/** A timeout that has elapsed has not failed. */
export class TimeoutOperation extends Operation {
  override failure(result: number): Error | null {
    return result === ETIME && this.aborted === null ? null : super.failure(result)
  }
}

/** Ends what is linked before it. */
export class LinkTimeoutOperation extends TimeoutOperation {
  /** What that is, once it is in a batch. */
  limited: Operation | null = null

  /**
   * The kernel does not find what is on its way from one of its queues to another (6.18, most often with an SQ thread), and one
   * of its workers that is at it may go on to wait: it is asked again.
   */
  override completed(result: number, flags: number): void {
    const goesOn = (result === ENOENT || result === EALREADY) && this.limited !== null && this.limited.slot >= 0
    if (goesOn) this.ring!.cancel(this.limited!)
    super.completed(goesOn && result === ENOENT ? ETIME : result, flags)
  }
}
