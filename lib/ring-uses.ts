/** Who uses a ring: it closes behind the last of them, and takes nothing more from then on. */
import { invalidState, ringClosed } from './errors.js'

/** A stream's, a file's or a copy's use of a ring. */
export interface RingUse {
  /** It begins to close: from here on the ring's `close` waits for it instead of refusing. */
  leaving(): void
  /** It has closed its file. */
  left(): void
}

export class RingUses {
  /** Those that do not leave yet, and those that do. */
  #staying = 0
  #leaving = 0
  /** The ring's `close` was called. */
  isClosed = false
  readonly #oneLeft: () => void

  constructor(oneLeft: () => void) {
    this.#oneLeft = oneLeft
  }

  /** One begins. */
  begin(): RingUse {
    this.#staying++
    return {
      leaving: () => {
        this.#staying--
        this.#leaving++
      },
      left: () => {
        this.#leaving--
        this.#oneLeft()
      }
    }
  }

  /** Takes no more. @throws ERR_INVALID_STATE while anyone stays */
  close(): void {
    if (this.#staying > 0) throw invalidState(`${this.#staying} streams use the ring`)
    this.isClosed = true
  }

  /** Whether one is leaving. */
  get areLeaving(): boolean {
    return this.#leaving > 0
  }

  /** What a closed ring says to an operation. @throws ERR_INVALID_STATE */
  refuseClosed(): void {
    // A stream that is closing still has its file to close.
    if (this.#leaving === 0) this.refuseLate()
  }

  /** The same for what begins to use the ring: `close` does not wait for it, whoever is leaving. @throws ERR_INVALID_STATE */
  refuseLate(): void {
    if (this.isClosed) throw ringClosed()
  }
}
