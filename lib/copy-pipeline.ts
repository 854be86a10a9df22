/** The way of the bytes of a copy: lanes that read and write chunks, several at once. */
import { fstatSync } from 'node:fs'
import { setTimeout as startTimer } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import type { CopyPlan, CopyProgress } from './copy-options.js'
import type { Files } from './copy-transfer.js'
import { isCached, Lane } from './copy-transfer.js'
import { ceilTo, floorTo } from './direct.js'
import type { Extent } from './file-calls.js'
import { dataOf } from './file-calls.js'

/**
 * A source in the page cache is read where it is asked for, and a write goes to a worker of the kernel's: linked, they
 * go on without JavaScript. One that must come from the disk profits from larger reads, and more of them.
 */
const hot = { chunkSize: 512 * 1024, depth: 4 }
const cold = { chunkSize: 1024 * 1024, depth: 8 }
const reportMs = 50
/** A slow copy takes a piece each so many seconds. */
const paceSeconds = 0.1
const paceBytesMin = 4096

export class Pipeline {
  readonly #stop = new AbortController()
  #lanes: Lane[] = []
  #failure: unknown
  /** Where the source ended, once that was seen before `size`. */
  #end = Infinity
  #copied = 0
  #reserved = 0
  readonly #began = performance.now()
  #reported = this.#began
  /** The next report, if it is due later. */
  #toReport: NodeJS.Timeout | undefined

  /** @param size of the source, when it was opened; 0 if that says nothing */
  constructor(readonly files: Files, readonly plan: CopyPlan, readonly size: number) {}

  /** Copies all. Resolves with the position where the source ended, when nothing is in flight any more. */
  async run(): Promise<number> {
    const parallel = this.files.sourceSeeks && this.files.targetSeeks && this.size > 0
    const shape = await this.#shape(parallel)
    const chunk = this.#chunk(shape.chunkSize)
    const count = parallel ? Math.min(shape.depth, Math.ceil(this.size / chunk)) : 1
    const { ring: { engine }, alignment } = this.files
    const direct = alignment > 1
    for (let i = 0; i < count; i++) {
      this.#lanes.push(new Lane(this.files, direct ? engine.acquirePages(chunk) : engine.acquireBuffer(chunk)))
    }
    if (this.#stop.signal.aborted) for (const lane of this.#lanes) lane.cancel()
    try {
      await this.#guard(async () => this.#report()) // that it has begun, and how much there is
      if (parallel) await this.#copyData(chunk, shape.linked && engine.chainMax > 1)
      if (this.#end === Infinity) await this.#guard(() => this.#copyRest(parallel ? this.size : 0, chunk))
    } finally {
      for (const { buffer } of this.#lanes) buffer.free()
      clearTimeout(this.#toReport)
    }
    if (this.#failure !== undefined) throw this.#failure
    this.#report()
    return this.#end
  }

  /** Ends it early: `run` rejects with this, or with an error that came before. */
  fail(error: unknown): void {
    this.#failure ??= error
    this.#stop.abort()
    for (const lane of this.#lanes) lane.cancel()
  }

  async #shape(parallel: boolean): Promise<{ chunkSize: number, depth: number, linked: boolean }> {
    const direct = this.files.alignment > 1
    // What fits into one chunk is read at once, wherever it is. And a look would bring pages that nobody drops.
    const small = !parallel || this.size <= hot.chunkSize
    const inCache = !direct && (small || (!this.plan.dropCache && await isCached(this.files, [0, this.size - 1])))
    const { chunkSize, depth } = inCache ? hot : cold
    return { chunkSize: this.plan.chunkSize ?? chunkSize, depth: this.plan.depth ?? depth, linked: inCache && parallel }
  }

  #chunk(wanted: number): number {
    const { bytesPerSecondMax } = this.plan
    const { alignment } = this.files
    const pace = Math.max(paceBytesMin, Math.floor(bytesPerSecondMax * paceSeconds / paceBytesMin) * paceBytesMin)
    return ceilTo(alignment, Math.min(wanted, pace, this.size > 0 ? this.size : Infinity))
  }

  /** What the source held when it was opened, without its holes. */
  async #copyData(chunk: number, linked: boolean): Promise<void> {
    const pieces = this.#pieces(chunk)
    await Promise.all(this.#lanes.map(lane => this.#guard(() => this.#work(lane, pieces, linked))))
  }

  async #work(lane: Lane, pieces: AsyncGenerator<Extent>, linked: boolean): Promise<void> {
    for (;;) {
      const { value, done } = await pieces.next()
      if (done || this.#stop.signal.aborted) return
      const length = value.end - value.start
      await this.#pace(length)
      if (this.#stop.signal.aborted) return
      const got = await lane.carry(value.start, length, linked)
      if (got < length) this.#end = Math.min(this.#end, value.start + got)
      this.#passed(got)
    }
  }

  async * #pieces(chunk: number): AsyncGenerator<Extent> {
    const { alignment, source } = this.files
    let done = 0
    for await (const data of dataOf(source.fd, 0, this.size)) {
      const from = Math.max(done, floorTo(alignment, data.start))
      this.#passed(from - done) // a hole
      for (let start = from; start < data.end; start += chunk) {
        if (start >= this.#end) return // it was cut meanwhile
        yield { start, end: Math.min(start + chunk, data.end) }
      }
      done = Math.max(done, data.end)
    }
    this.#passed(this.size - done)
  }

  /** What the source has got since, or all of one that does not know its size; until a read says that there is no more. */
  async #copyRest(from: number, chunk: number): Promise<void> {
    const { alignment, sourceSeeks } = this.files
    let position = floorTo(alignment, from)
    let known = from - position
    while (!this.#stop.signal.aborted) {
      await this.#pace(chunk)
      if (this.#stop.signal.aborted) return
      const got = await this.#lanes[0].carry(position, chunk)
      this.#reserved -= chunk - got
      position += got
      this.#passed(got - known)
      known = 0
      if (got === 0 || (sourceSeeks && got < chunk)) {
        this.#end = got === 0 ? this.#lastByte(position) : position
        return
      }
    }
  }

  /** Of a source that has nothing more at `position`. One that was cut before anybody looked for its data has ended before. */
  #lastByte(position: number): number {
    return this.size > 0 ? Math.min(position, fstatSync(this.files.source.fd).size) : position
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.fail(error)
    }
  }

  /** Waits until so many bytes may be read. */
  async #pace(bytes: number): Promise<void> {
    const { bytesPerSecondMax } = this.plan
    if (bytesPerSecondMax === Infinity) return
    const wait = this.#began + this.#reserved / bytesPerSecondMax * 1000 - performance.now()
    this.#reserved += bytes
    if (wait > 0) await setTimeout(wait, undefined, { signal: this.#stop.signal }).catch(() => {}) // stopped: its caller looks
  }

  #passed(bytes: number): void {
    this.#copied += bytes
    if (this.plan.onProgress === undefined || this.#toReport !== undefined) return
    const wait = this.#reported + reportMs - performance.now()
    if (wait <= 0) return this.#report()
    // A copy that stands still meanwhile, at a pipe, must not keep what it has done to itself.
    this.#toReport = startTimer(() => void this.#guard(async () => this.#report()), wait)
  }

  #report(): void {
    const { onProgress } = this.plan
    if (onProgress === undefined) return
    clearTimeout(this.#toReport)
    this.#toReport = undefined
    this.#reported = performance.now()
    onProgress(progressOf(this.#copied, this.size, this.#reported - this.#began))
  }
}

export function progressOf(copiedBytes: number, size: number, milliseconds: number): CopyProgress {
  return {
    copiedBytes,
    totalBytes: size > 0 && copiedBytes <= size ? size : null, // a file that grows: nobody knows how far
    bytesPerSecond: milliseconds > 0 ? copiedBytes / milliseconds * 1000 : 0
  }
}
