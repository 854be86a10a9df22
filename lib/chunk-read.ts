/** One read of the ordered window of reads. */
import { ceilTo, floorTo } from './direct.js'
import { currentPosition, Opcode, Request } from './engine.js'
import type { ReadAhead } from './read-ahead.js'

/** A chunk's read: a place in the file, and the memory it fills. */
export class ChunkRead extends Request {
  /** Bytes in the memory; the first `skip` of them are only there for the alignment. */
  filled = 0
  skip = 0
  done = false
  ended = false
  failure: Error | null = null
  /** Counted by the ring as completed and not yet taken. */
  held = false
  /** Nobody wants its bytes any more. */
  abandoned = false

  place = 0
  size = 0

  constructor(readonly window: ReadAhead) {
    super()
    this.opcode = Opcode.read
    this.file = window.file
  }

  /** Makes it ready for another chunk: `wanted` bytes from `start` on. */
  reuse(start: number, wanted: number): void {
    this.place = floorTo(this.window.unit, start)
    this.filled = this.skip = start - this.place
    this.size = this.skip + wanted
    this.done = this.ended = false
    this.buffer = this.memory = null
    this.aim()
  }

  /** Points it at what is still missing, and what must be read with it. */
  aim(): void {
    const { unit } = this.window
    this.offset = floorTo(unit, this.filled)
    this.length = ceilTo(unit, this.size) - this.offset
    this.position = this.place === currentPosition ? currentPosition : this.place + this.offset
  }

  override completed(result: number): void {
    this.window.completed(this, result)
  }
}
