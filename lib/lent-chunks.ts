/** Leases of the chunks that a readable stream has given out: each ends once, when the consumer has gone on. */
import type { Lease } from './buffers.js'

export class LentChunks {
  /** Of chunks in the queue of the stream's base class, in order. */
  private _queued: Lease[] = []
  /** Of what the consumer has. */
  private _current: Lease[] = []

  /** Whether the consumer looks at memory that can be taken from him. */
  get areOut(): boolean {
    return this._current.length > 0
  }

  queue(lease: Lease): void {
    this._queued.push(lease)
  }

  /** The consumer gets the chunk of this lease, or memory of his own: what he had before is over. */
  deliver(lease: Lease | undefined): void {
    if (lease === undefined) return this._replace([])
    if (this._current.includes(lease)) return // streamx tells by 'data' of what it gives by `read` as well
    const place = this._queued.indexOf(lease)
    if (place >= 0) this._queued.splice(place, 1)
    this._replace([lease])
  }

  /** The consumer gets all that is in the queue, as one chunk. */
  deliverQueued(): void {
    if (this._queued.length > 0) this._replace(this._queued.splice(0))
  }

  private _replace(leases: Lease[]): void {
    for (const lease of this._current) lease.release()
    this._current = leases
  }

  /** What is in the queue is nobody's to look at. */
  releaseQueued(): void {
    for (const lease of this._queued.splice(0)) lease.release()
  }

  readonly release = (): void => {
    this._replace([])
    this.releaseQueued()
  }
}
