/** Ctrl-C and its relatives. */
import { constants } from 'node:os'

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** How long a copy may take to stop by itself: a read of a pipe in a thread, or of a dead server, never does. */
const graceMs = 1000

/** A second signal that comes so soon is the first one again: `npm run` passes on what the terminal has sent to both. */
const againMs = 200

/**
 * Aborts a copy at the first signal, which removes the partial target at once. At the second one, or when the copy does not stop, the process ends
 * at once.
 */
export class Interruption {
  readonly #controller = new AbortController()
  #name: NodeJS.Signals | null = null
  /** When that one came, by performance.now(). */
  #came = 0

  /**
   * From here to the end of the process: a second signal that comes when the copy has stopped must not change how that ends.
   * @param ending called before the process ends at once: nothing that it leaves for later will happen
   */
  constructor(readonly ending: (name: NodeJS.Signals) => void) {
    for (const signal of signals) process.on(signal, this.#interrupt)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The first signal that came. */
  get name(): string | null {
    return this.#name
  }

  /** As a shell reports a program that the signal has ended. */
  get exitCode(): number | null {
    return this.#name === null ? null : 128 + constants.signals[this.#name]
  }

  readonly #interrupt = (name: NodeJS.Signals): void => {
    if (this.#name !== null) {
      if (performance.now() - this.#came >= againMs) this.#end(this.#name)
      return
    }
    this.#name = name
    this.#came = performance.now()
    this.#controller.abort()
    setTimeout(() => this.#end(name), graceMs).unref()
  }

  #end(name: NodeJS.Signals): void {
    for (const signal of signals) process.off(signal, this.#interrupt) // from here on they end it again
    this.ending(name)
    // Not process.exit: it waits for libuv's threads, and one of them may be what does not stop.
    process.kill(process.pid, name)
  }
}
