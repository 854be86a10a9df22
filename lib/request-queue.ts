/** Requests that wait for admission, first come first served; any of them can leave at any time. */
import type { Request } from './engine.js'

export class RequestQueue {
  #first: Request | null = null
  #last: Request | null = null
  #length = 0

  get first(): Request | null {
    return this.#first
  }

  get length(): number {
    return this.#length
  }

  push(request: Request): void {
    request.queued = true
    request.previous = this.#last
    if (this.#last === null) this.#first = request
    else this.#last.next = request
    this.#last = request
    this.#length++
  }

  remove(request: Request): void {
    const { previous, next } = request
    if (previous === null) this.#first = next
    else previous.next = next
    if (next === null) this.#last = previous
    else next.previous = previous
    request.previous = request.next = null
    request.queued = false
    this.#length--
  }
}
