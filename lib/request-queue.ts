/** Requests that wait for admission, first come first served; any of them can leave at any time. */
import type { Request } from './engine.js'

export class RequestQueue {
  private _first: Request | null = null
  private _last: Request | null = null
  private _length = 0

  get first(): Request | null {
    return this._first
  }

  get length(): number {
    return this._length
  }

  push(request: Request): void {
    request.queued = true
    request.previous = this._last
    if (this._last === null) this._first = request
    else this._last.next = request
    this._last = request
    this._length++
  }

  remove(request: Request): void {
    const { previous, next } = request
    if (previous === null) this._first = next
    else previous.next = next
    if (next === null) this._last = previous
    else next.previous = previous
    request.previous = request.next = null
    request.queued = false
    this._length--
  }
}
