/** Iteration straight from a window. */
import type { Readable } from 'node:stream'
import { finished } from 'node:stream'
import { abortError } from './errors.js'

type Result = IteratorResult<any, any>
interface Pending { resolve: (result: Result) => void, reject: (error: Error) => void }

/** Where an iterator takes its chunks from. */
export interface PullSource {
  readonly stream: Readable
  /**
   * Called with the first `next`: from here on the chunks are the iterator's. Or the iterator that must be used
   * instead, because the stream is in other hands.
   */
  begin(iterator: PullIterator): NodeJS.AsyncIterator<any> | null
  /** The next chunk, or null when there is none yet or no more. */
  take(): Buffer | null
}

/** Hands out a stream's chunks as they are asked for, and the stream's end or error after them. */
export class PullIterator implements NodeJS.AsyncIterator<any> {
  readonly #pending: Pending[] = []
  #begun = false
  #other: NodeJS.AsyncIterator<any> | null = null
  #over = false
  #error: Error | null = null

  constructor(readonly source: PullSource) {}

  #begin(): void {
    this.#begun = true
    this.#other = this.source.begin(this)
    if (this.#other !== null) return
    finished(this.source.stream, { writable: false }, error => {
      if (!this.#over) this.#error = error ?? null
      this.#over = true
      for (const pending of this.#pending.splice(0)) this.#end(pending)
    })
  }

  next(): Promise<Result> {
    if (!this.#begun && !this.#over) this.#begin()
    if (this.#other !== null) return this.#other.next()
    const value = this.#pending.length === 0 && !this.#over ? this.source.take() : null
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
      const value = this.source.take()
      if (value === null) return
      this.#pending.shift()!.resolve({ value, done: false })
    }
  }

  #end({ resolve, reject }: Pending): void {
    const error = this.#error
    this.#error = null // reported once; then the iterator is simply at its end
    if (error !== null) reject(error)
    else resolve({ value: undefined, done: true })
  }

  /** Ends the stream early, as Readable's iterator does: its listeners see an AbortError. */
  async return(value?: any): Promise<Result> {
    if (this.#other?.return !== undefined) return this.#other.return(value)
    this.#stop(abortError())
    return { value, done: true }
  }

  async throw(error?: any): Promise<Result> {
    if (this.#other?.throw !== undefined) return this.#other.throw(error)
    this.#stop(error)
    throw error
  }

  #stop(error: Error): void {
    // An iterator that never began has not touched the stream.
    if (this.#begun && !this.#over) this.source.stream.destroy(error)
    this.#over = true
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
