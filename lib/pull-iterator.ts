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
  private readonly _pending: Pending[] = []
  private _begun = false
  private _other: NodeJS.AsyncIterator<any> | null = null
  private _over = false
  private _error: Error | null = null

  constructor(readonly source: PullSource) {}

  private _begin(): void {
    this._begun = true
    this._other = this.source.begin(this)
    if (this._other !== null) return
    finished(this.source.stream, { writable: false }, error => {
      if (!this._over) this._error = error ?? null
      this._over = true
      for (const pending of this._pending.splice(0)) this._end(pending)
    })
  }

  next(): Promise<Result> {
    if (!this._begun && !this._over) this._begin()
    if (this._other !== null) return this._other.next()
    const value = this._pending.length === 0 && !this._over ? this.source.take() : null
    if (value !== null) return Promise.resolve({ value, done: false })
    return new Promise((resolve, reject) => {
      const pending = { resolve, reject }
      if (this._over) this._end(pending)
      else this._pending.push(pending)
    })
  }

  /** There may be something to take. */
  pump(): void {
    while (this._pending.length > 0 && !this._over) {
      const value = this.source.take()
      if (value === null) return
      this._pending.shift()!.resolve({ value, done: false })
    }
  }

  private _end({ resolve, reject }: Pending): void {
    const error = this._error
    this._error = null // reported once; then the iterator is simply at its end
    if (error !== null) reject(error)
    else resolve({ value: undefined, done: true })
  }

  /** Ends the stream early, as Readable's iterator does: its listeners see an AbortError. */
  async return(value?: any): Promise<Result> {
    if (this._other?.return !== undefined) return this._other.return(value)
    this._stop(abortError())
    return { value, done: true }
  }

  async throw(error?: any): Promise<Result> {
    if (this._other?.throw !== undefined) return this._other.throw(error)
    this._stop(error)
    throw error
  }

  private _stop(error: Error): void {
    // An iterator that never began has not touched the stream.
    if (this._begun && !this._over) this.source.stream.destroy(error)
    this._over = true
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
