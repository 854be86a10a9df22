/** The way of the bytes of a copy: lanes that read and write chunks, several at once. */
import { setMaxListeners } from 'node:events'
import { fstatSync } from 'node:fs'
import { setTimeout as startTimer } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { CacheFollower, cacheStep } from './copy-direct.js'
import type { CopyPlan, CopyProgress } from './copy-options.js'
import type { Files } from './copy-transfer.js'
import { CopyRange } from './copy-range.js'
import { Lane } from './copy-transfer.js'
import { ceilTo, floorTo } from './direct.js'
import { EarlyWriteback, writebackStep } from './early-writeback.js'
import { dataOf, preallocate } from './file-calls.js'

const chunkSizeDefault = 1024 * 1024
/** A hot GiB took 145 to 153 ms with 4, 142 with 6, 134 with 8; timers wait while what is in flight is read. */
const depthDefault = 6
/** Past the page cache nobody reads ahead or writes behind. */
const depthDirect = 8
/** Of less than this it is not worth a call to allocate it beforehand. */
const allocatedBytesMin = 8 * 1024 * 1024
const nothing = { bytes: 0, pairs: 0 }
const reportMs = 50
/** A slow copy takes a piece each so many seconds. */
const paceSeconds = 0.1
const paceBytesMin = 4096

export class Pipeline {
  readonly #stop = new AbortController()
  #lanes: Lane[] = []
  /** What the lanes take from now. */
  #range: CopyRange | null = null
  #failure: unknown
  /** Where the source ended, once that was seen before `size`. */
  #end = Infinity
  /** Up to where space was allocated in the target. */
  allocated = 0
  #copied = 0
  #reserved = 0
  readonly #began = performance.now()
  #reported = this.#began
  /** Null where the target need not be on the disk, or is there already. */
  readonly #writeback: EarlyWriteback | null
  /** Null where the source is read in one way throughout. */
  readonly #follower: CacheFollower | null
  /** The next report, if it is due later. */
  #toReport: NodeJS.Timeout | undefined

  /** @param size of the source, when it was opened; 0 if that says nothing */
  constructor(readonly files: Files, readonly plan: CopyPlan, readonly size: number) {
    const synced = (plan.flush || plan.atomic) && files.units.write === 1 // direct writes are with the disk already
    this.#writeback = synced ? new EarlyWriteback(files.target.fd, 0) : null
    this.#follower = files.units.follows ? new CacheFollower(files.source.fd) : null
    setMaxListeners(0, this.#stop.signal) // of a slow copy each lane is one
  }

  /** Copies all. Resolves with the position where the source ended, when nothing is in flight any more. */
  async run(): Promise<number> {
    const parallel = this.files.sourceSeeks && this.files.targetSeeks && this.size > 0
    const { ring: { engine }, units } = this.files
    const chunk = this.#chunk(this.plan.chunkSize ?? chunkSizeDefault)
    const depth = this.plan.depth ?? (units.write > 1 ? depthDirect : depthDefault)
    const count = parallel ? Math.min(depth, Math.ceil(this.size / chunk)) : 1
    if (count > 1) await engine.populate(count * chunk)
    for (let i = 0; i < count; i++) {
      this.#lanes.push(new Lane(this.files, units.read > 1 ? engine.acquirePages(chunk) : engine.acquireBuffer(chunk)))
    }
    if (this.#stop.signal.aborted) for (const lane of this.#lanes) lane.cancel()
    try {
      await this.#guard(async () => this.#report()) // that it has begun, and how much there is
      if (parallel) await this.#copyData(chunk)
      if (this.#end === Infinity) await this.#guard(() => this.#copyRest(parallel ? this.size : 0, chunk))
    } finally {
      for (const { buffer } of this.#lanes) buffer.free()
      clearTimeout(this.#toReport)
      const writeback = this.#writeback
      if (writeback !== null) await new Promise<void>(resolve => writeback.ended(resolve))
    }
    if (this.#failure !== undefined) throw this.#failure
    this.#report()
    return this.#end
  }

  /** Ends it early: `run` rejects with this, or with an error that came before. */
  fail(error: unknown): void {
    this.#failure ??= error
    this.#stop.abort()
    this.#range?.endAt(0)
    for (const lane of this.#lanes) lane.cancel()
  }

  #chunk(wanted: number): number {
    const { bytesPerSecondMax } = this.plan
    const { units } = this.files
    const pace = Math.max(paceBytesMin, Math.floor(bytesPerSecondMax * paceSeconds / paceBytesMin) * paceBytesMin)
    return ceilTo(units.read, Math.min(wanted, pace, this.size > 0 ? this.size : Infinity))
  }

  /** What the source held when it was opened, without its holes. */
  async #copyData(chunk: number): Promise<void> {
    const ranges = this.#ranges(chunk)
    const look = this.plan.onProgress === undefined ? undefined : setInterval(() => void this.#guard(async () => this.#collect()), reportMs)
    try {
      await Promise.all(this.#lanes.map(lane => this.#guard(() => this.#work(lane, ranges))))
    } finally {
      clearInterval(look)
    }
  }

  async #work(lane: Lane, ranges: AsyncGenerator<CopyRange>): Promise<void> {
    const { ring } = this.files
    const linked = ring.engine.chainMax > 1
    for (;;) {
      const { value: range, done } = await ranges.next()
      if (done || this.#stop.signal.aborted) return
      if (range.exhausted) continue
      const { position, length } = range.take()
      await this.#pace(length)
      if (this.#stop.signal.aborted) return
      const byItself = this.plan.bytesPerSecondMax === Infinity && !ring.watched
      const last = await lane.carry(position, length, linked, byItself ? range : null)
      if (last.bytes < last.length) this.#endAt(last.position + last.bytes)
      this.#passed(last.bytes)
    }
  }

  /** The source was cut meanwhile. */
  #endAt(position: number): void {
    this.#end = Math.min(this.#end, position)
    this.#range!.endAt(position)
  }

  /** The same one for as long as it has anything left: each lane asks, and takes a piece. */
  async * #ranges(chunk: number): AsyncGenerator<CopyRange> {
    const { units: { read: unit }, source, targetIsFile } = this.files
    const step = Math.min(this.#writeback === null ? Infinity : writebackStep, this.#follower === null ? Infinity : cacheStep)
    let done = 0
    // What a device holds is no hole: there the source's are written.
    for await (const data of targetIsFile ? dataOf(source.fd, 0, this.size) : [{ start: 0, end: this.size }]) {
      // Whole units, whatever the file system's blocks: of the next data only what is behind them is left.
      const from = Math.max(done, floorTo(unit, data.start))
      const until = Math.max(from, Math.min(ceilTo(unit, data.end), this.size))
      this.#passed(from - done) // a hole
      if (until - from >= allocatedBytesMin) await this.#allocate(from, until)
      // What is left of the last unit is no transfer for lanes that go on by themselves: it is not whole.
      const last = Math.max(from, floorTo(unit, until))
      for (const [start, end] of [[from, last], [last, until]]) {
        for (let at = start; at < end; at += step) {
          const to = Math.min(at + step, end)
          if (at < last) await this.#follower?.choose(at, to) // what is left of a unit goes the way of what was before it
          const range = this.#range = new CopyRange(at, Math.min(to, this.#end), chunk)
          while (!range.exhausted) yield range
          this.#collect()
          this.#writeback?.reached(to)
        }
      }
      if (this.#end < Infinity) return
      done = until
    }
    this.#passed(this.size - done)
  }

  /** A file system that refuses, or is full, is written to all the same: that will say what is wrong. */
  async #allocate(start: number, end: number): Promise<void> {
    const { units, target } = this.files
    // Direct writes behind a file's end wait for each other.
    const done = await preallocate(target.fd, start, end - start, units.write > 1)
    if (done >= 0) this.allocated = end
  }

  /** What the engine has carried by itself. */
  #collect(): void {
    const { bytes, pairs } = this.#range?.carried() ?? nothing
    this.files.operations += 2 * pairs
    if (bytes > 0) this.#passed(bytes)
  }

  /** What the source has got since, or all of one that does not know its size; until a read says that there is no more. */
  async #copyRest(from: number, chunk: number): Promise<void> {
    const { units, sourceSeeks } = this.files
    let position = floorTo(units.read, from)
    let known = from - position
    // A last unit that may be a hole is not read again, and written, to see that it is the last.
    if (known > 0 && fstatSync(this.files.source.fd).size === from) {
      this.#end = from
      return
    }
    while (!this.#stop.signal.aborted) {
      await this.#pace(chunk)
      if (this.#stop.signal.aborted) return
      const { bytes: got } = await this.#lanes[0].carry(position, chunk)
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
