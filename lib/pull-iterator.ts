/** Iteration straight from a window. */
import type { Readable } from 'node:stream'
import { finished } from 'node:stream'
import { abortError } from './errors.js'

type Result = IteratorResult<Buffer, undefined>
interface Pending { resolve: (result: Result) => void, reject: (error: Error) => void }

const end: Result = { value: undefined, done: true }

/** Hands out a stream's chunks as they are asked for, and the stream's end or error after them. */
export class PullIterator implements NodeJS.AsyncIterator<Buffer, undefined> {
  readonly #pending: Pending[] = []
  #over = false
  #error: Error | null = null

  /** @param take the next chunk, or null when there is none yet or no more */
  constructor(readonly stream: Readable, readonly take: () => Buffer | null) {
    finished(stream, { writable: false }, error => {
      this.#over = true
      this.#error = error ?? null
      for (const pending of this.#pending.splice(0)) this.#end(pending)
    })
  }

  next(): Promise<Result> {
    const value = this.#pending.length === 0 && !this.#over ? this.take() : null
    if (value !== null) return Promise.resolve({ value, done: false })
    return new Promise((resolve, reject) => {
      const pending = { resolve, reject }
      if (this.#over) this.#end(pending)
      else this.#pending.push(pending)
    })
  }

  /** There may be something to take. */
  pump(): void {
    while (this.#pending.length > 0 && !this.#over) {
      const value = this.take()
      if (value === null) return
      this.#pending.shift()!.resolve({ value, done: false })
    }
  }

  #end({ resolve, reject }: Pending): void {
    const error = this.#error
    this.#error = null // reported once; then the iterator is simply at its end
    if (error !== null) reject(error)
    else resolve(end)
  }

  /** Ends the stream early, as Readable's iterator does: its listeners see an AbortError. */
  async return(): Promise<Result> {
    if (!this.#over) this.stream.destroy(abortError())
    return end
  }

  async throw(error?: unknown): Promise<Result> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
