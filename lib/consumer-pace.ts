/** Whether the consumer of a window of reads is at work: then a worker of the kernel's had better copy for it. */

/**
 * A consumer that takes longer than this for a byte (ns) keeps its thread busy: a worker of the kernel's copies
 * from the page cache meanwhile. Hashing takes 0.5; a cached read, 0.04. With sha256, on 2 cores: 1.2x as fast.
 */
const busyConsumer = 0.15
/**
 * So many times in a row: V8's collections stop it as well. Node 24, which collects everything each 70 MiB, read an owned GiB
 * in 320 ms when each stop counted, and in 260 so (2026-11-26).
 */
const busyTimes = 16

export class ConsumerPace {
  /** When the last chunk was taken: time, batch of completions (-1 once the next was asked for), */
  private _takenAt = 0
  private _takenIn = -1
  /** and its size. */
  private _takenBytes = 0
  private _busyTimes = 0

  get isBusy(): boolean {
    return this._busyTimes >= busyTimes
  }

  get hasTaken(): boolean {
    return this._takenAt > 0
  }

  /** @param batch of completions, as `Ring.batches` counts them */
  takes(bytes: number, batch: number): void {
    this._takenAt = performance.now()
    this._takenIn = batch
    this._takenBytes = bytes
  }

  /**
   * Compares the time from a chunk until the next is asked for with its size, if nothing completed meanwhile: otherwise the
   * consumer has waited, for a disk or a target, and not worked. (A pipe was 3x as slow with its reads on workers.)
   */
  asks(batch: number): void {
    if (this._takenIn !== batch) return
    this._takenIn = -1
    const perByte = (performance.now() - this._takenAt) * 1e6 / this._takenBytes
    this._busyTimes = perByte > busyConsumer ? this._busyTimes + 1 : 0
  }
}
