/** When a writer has too much in hand, and when it may be given more. */
import type { WriteBehind } from './write-behind.js'

export class WritePressure {
  /**
   * @param highWaterMark bytes accepted and not yet written
   * @param leasesMax the same of leases
   */
  constructor(private readonly _window: WriteBehind, private readonly _highWaterMark: number, private readonly _leasesMax: number) {}

  /**
   * Leases are limited by their number: their memory is the ring's, and one of 1 MiB would fill the high-water mark
   * alone, so that a pipe had one write in flight (1.4x as slow).
   */
  private get _countsLeases(): boolean {
    const { leases, pendingWrites } = this._window
    return leases > 0 && leases === pendingWrites
  }

  get full(): boolean {
    const { ring, pendingBytes, leases } = this._window
    if (ring.pressure && pendingBytes > 0) return true
    return this._countsLeases ? leases >= this._leasesMax : pendingBytes >= this._highWaterMark
  }

  /** The callers' memory is theirs again, and half of what there may be is written. */
  get relieved(): boolean {
    const { callersBytes, pendingBytes, leases } = this._window
    if (callersBytes > 0) return false
    return this._countsLeases ? leases <= this._leasesMax / 2 : pendingBytes <= this._highWaterMark / 2
  }
}
