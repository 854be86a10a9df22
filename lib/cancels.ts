/** Operations that are asked to end early. */
import type { Request } from './engine.js'
import type { NativeEngine } from './native.js'

/** How long after it was asked to end what is still in flight is asked again. */
const askAgainMs = 10

/**
 * What has been asked to end and has not is asked again: the kernel does not find what is behind a link, or on its way from one
 * of its queues to another.
 */
export class Cancels {
  readonly #ending = new Set<Request>()
  #asking: NodeJS.Timeout | null = null

  constructor(readonly native: NativeEngine) {}

  /** It must be in flight. */
  ask(request: Request): void {
    this.native.cancel(request.slot)
    this.#ending.add(request)
    this.#asking ??= setTimeout(this.#askAgain, askAgainMs).unref()
  }

  readonly #askAgain = (): void => {
    for (const { slot } of this.#ending) this.native.cancel(slot)
    this.#asking = this.#ending.size > 0 ? setTimeout(this.#askAgain, askAgainMs).unref() : null
  }

  /** It has completed, whether it was asked to or not. */
  ended(request: Request): void {
    if (this.#ending.size > 0) this.#ending.delete(request)
  }

  forget(): void {
    this.#ending.clear()
  }
}
