/** What the lanes of a copy carry, in pieces that they take as they come. */

/** Words of `CopyRange` and of `CopyPiece` in binding/copy_pipeline.h. */
const Word = { next: 0, end: 1, chunk: 2, copied: 3, pairs: 4, count: 5 } as const

/** A run of data. The engine may take from it by itself. */
export class CopyRange {
  readonly words = new Float64Array(Word.count)
  #copiedSeen = 0
  #pairsSeen = 0

  /** Bytes from `start` up to, not including, `end`, in pieces of `chunk` bytes at most. */
  constructor(start: number, end: number, chunk: number) {
    this.words[Word.next] = start
    this.words[Word.end] = end
    this.words[Word.chunk] = chunk
  }

  get exhausted(): boolean {
    return this.words[Word.next] >= this.words[Word.end]
  }

  take(): { position: number, length: number } {
    const { words } = this
    const position = words[Word.next]
    const length = Math.min(words[Word.chunk], words[Word.end] - position)
    words[Word.next] += length
    return { position, length }
  }

  /** No piece begins at `position` or behind. */
  endAt(position: number): void {
    this.words[Word.end] = Math.min(this.words[Word.end], position)
  }

  /** What the engine has carried by itself since this was last asked. */
  carried(): { bytes: number, pairs: number } {
    const bytes = this.words[Word.copied] - this.#copiedSeen
    const pairs = this.words[Word.pairs] - this.#pairsSeen
    this.#copiedSeen += bytes
    this.#pairsSeen += pairs
    return { bytes, pairs }
  }
}

/** The piece that a lane has: where it begins and its length, in bytes. */
export class CopyPiece {
  readonly words = new Float64Array(2)

  set(position: number, length: number): void {
    this.words[0] = position
    this.words[1] = length
  }

  get position(): number {
    return this.words[0]
  }

  get length(): number {
    return this.words[1]
  }
}
