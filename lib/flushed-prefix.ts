/** How much of what was written is known to be on the disk, where each write waits for it. */

/**
 * The kernel tells each open file once that pages of it were lost, whichever of its synced writes asks first: one of two
 * in flight may be told of the other's, and that one be told nothing. So what a write has brought counts when all that
 * were in flight with it have ended well.
 */
export class FlushedPrefix {
  /** Bytes. */
  bytes = 0
  /** What will count, */
  private _next = 0
  /** when so many bytes are written. */
  private _due = 0

  /**
   * A write has ended, and none has failed.
   * @param written bytes without a gap from the start
   * @param started bytes of these and of all that are in flight
   */
  advance(written: number, started: number): void {
    if (written < this._due) return
    this.bytes = written === started ? written : this._next
    this._next = written
    this._due = started
  }
}
