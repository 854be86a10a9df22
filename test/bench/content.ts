// The bytes of a benchmark's files: a block repeated, so that the right byte of any position is known without a second copy.
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'

const samplesPerFile = 64
const pieceBytes = 1 << 20
/** A prime number of bytes: chunks that change places then show, since no two of them begin at the same byte of the period. */
const periodBytes = 1048573

export class Content {
  readonly block: Buffer
  readonly bytes: number
  #sha256: string | undefined

  constructor(block: Buffer, bytes: number) {
    this.block = block
    this.bytes = bytes
  }

  at(position: number): number {
    return this.block[position % this.block.length]
  }

  /** The content in order, in pieces of at most one block. */
  *pieces(): Generator<Buffer> {
    for (let left = this.bytes; left > 0; left -= this.block.length) {
      yield left < this.block.length ? this.block.subarray(0, left) : this.block
    }
  }

  /** Looks at one byte of what was read from a position: its memory was in no cache, and peers do not look at all. */
  sample(bytes: Uint8Array, position: number): boolean {
    const last = bytes.length - 1
    return bytes[last] === this.at(position + last)
  }

  /** Compares every byte. */
  equals(bytes: Uint8Array, position: number): boolean {
    const from = position % this.block.length
    const here = Math.min(bytes.length, this.block.length - from)
    return this.block.compare(bytes, 0, here, from, from + here) === 0
      && this.block.compare(bytes, here, bytes.length, 0, bytes.length - here) === 0
  }

  hashInMemory(): string {
    const hash = createHash('sha256')
    for (const piece of this.pieces()) hash.update(piece)
    return hash.digest('hex')
  }

  get sha256(): string {
    return this.#sha256 ??= this.hashInMemory()
  }

  checkHash(hash: Hash, what: string): void {
    if (hash.digest('hex') !== this.sha256) throw new Error(`${what}: the sha256 differs from what was expected`)
  }

  checker(): Checker {
    return new Checker(this)
  }

  /** Every byte of the file, by its sha256. */
  verifyFile(path: string): void {
    const hash = createHash('sha256')
    withFile(path, fd => {
      const piece = Buffer.allocUnsafe(pieceBytes)
      for (let bytes; (bytes = readSync(fd, piece)) > 0;) hash.update(piece.subarray(0, bytes))
    })
    this.checkHash(hash, path)
  }

  /** The file's size and some of its bytes: cheap enough for each round. */
  sampleFile(path: string): void {
    withFile(path, fd => {
      const { size } = fstatSync(fd)
      if (size !== this.bytes) throw new Error(`${path}: ${size} bytes where ${this.bytes} were expected`)
      const byte = Buffer.alloc(1)
      for (let i = 0; i <= samplesPerFile; i++) {
        const position = Math.floor((this.bytes - 1) * i / samplesPerFile)
        readSync(fd, byte, 0, 1, position)
        if (byte[0] !== this.at(position)) throw new Error(`${path}: a wrong byte at ${position}`)
      }
    })
  }
}

/**
 * Counts the bytes of a stream and looks at three of each chunk. What is wrong is thrown by done(), not by the
 * consumer: a throw inside a 'data' listener would be the emitter's uncaught exception.
 */
export class Checker {
  readonly #content: Content
  #position = 0
  #wrongAt = -1

  constructor(content: Content) {
    this.#content = content
  }

  see = (chunk: Uint8Array): void => {
    if (this.#wrongAt < 0 && !this.#content.sample(chunk, this.#position)) this.#wrongAt = this.#position
    this.#position += chunk.length
  }

  done(): void {
    if (this.#wrongAt >= 0) throw new Error(`wrong bytes in the chunk at ${this.#wrongAt}`)
    if (this.#position !== this.#content.bytes) throw new Error(`${this.#position} bytes where ${this.#content.bytes} were expected`)
  }
}

/** What the content of every source repeats. */
export function sourceBlock(): Buffer {
  return pseudoRandom(periodBytes)
}

/** The same bytes in every run (xorshift32): figures of two runs are of the same work. */
export function pseudoRandom(bytes: number): Buffer {
  const block = Buffer.allocUnsafeSlow(bytes)
  for (let i = 0, state = 0x9e3779b9; i < bytes; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    block[i] = state
  }
  return block
}

/** Synced, lest its write-back disturb the rounds, then read once, which checks it and leaves it in the page cache. */
export function makeHotFile(path: string, content: Content): void {
  const fd = openSync(path, 'w')
  try {
    for (const piece of content.pieces()) writeWhole(fd, piece)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  content.verifyFile(path)
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset)
}

function withFile(path: string, use: (fd: number) => void): void {
  const fd = openSync(path, 'r')
  try {
    use(fd)
  } finally {
    closeSync(fd)
  }
}
