import { createHash } from 'node:crypto'
import type { Test } from 'tap'

/** A small generator (xorshift32): the same seed makes the same test again. */
export class Seeded {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.#next() % (high - low + 1)
  }

  chance(): boolean {
    return this.between(0, 1) === 1
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length - 1)]
  }

  bytes(length: number): Buffer {
    const words = new Uint32Array(Math.ceil(length / 4))
    for (let i = 0; i < words.length; i++) words[i] = this.#next()
    return Buffer.from(words.buffer, 0, length)
  }

  #next(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x >>> 0
    return this.#state
  }
}

/** A new seed on every run, printed; TEST_SEED repeats one. */
export function seededFor(t: Test): Seeded {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 0xffffffff) + 1)
  t.comment(`TEST_SEED=${seed}`)
  return new Seeded(seed)
}

/** Bytes without a period, so that a block at a wrong place is seen. */
export function patterned(length: number, seed = 1): Buffer {
  return new Seeded(seed).bytes(length)
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}
