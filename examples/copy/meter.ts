/** How fast a copy goes, and how long it will take. */

/** The rate is that of the last few seconds: long enough to be steady, short enough to tell a disk's slow hour. */
const windowMs = 5000

interface Sample { time: number, bytes: number }

export class Meter {
  readonly #samples: Sample[] = []

  /** @param time in milliseconds, from any beginning */
  add(time: number, bytes: number): void {
    this.#samples.push({ time, bytes })
    // The oldest that stays is the last one outside the window.
    while (this.#samples.length > 2 && this.#samples[1].time <= time - windowMs) this.#samples.shift()
  }

  /** 0 while nothing is known. */
  get bytesPerSecond(): number {
    const first = this.#samples[0]
    const last = this.#samples[this.#samples.length - 1]
    return first === last || last.time === first.time ? 0 : (last.bytes - first.bytes) / (last.time - first.time) * 1000
  }

  /** Null while nobody can tell. */
  secondsLeft(total: number | null): number | null {
    const rate = this.bytesPerSecond
    if (total === null || rate === 0) return null
    return (total - this.#samples[this.#samples.length - 1].bytes) / rate
  }
}
