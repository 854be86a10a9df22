/** Where the writes of a window go while others have its descriptor as well: a child's standard output, a FileHandle. */
import type { ChunkWrite } from './chunk-write.js'
import type { Engine } from './engine.js'

export class SharedDescriptor {
  /** What has its place in the file only when it begins. */
  private readonly _unplaced: ChunkWrite[] = []

  constructor(private readonly engine: Engine, private readonly fd: number) {}

  add(write: ChunkWrite): void {
    this._unplaced.push(write)
  }

  /**
   * Moves the descriptor behind what is about to be written, and that to where the descriptor stood, in one step. So others
   * go on behind it, also while it is in flight, as they do behind a write(2).
   * @param next where the window has taken it to end
   * @returns how much further it does
   */
  takePlaces(next: number): number {
    const writes = this._unplaced.splice(0)
    if (writes.length === 0) return 0
    const bytes = writes.reduce((sum, { size }) => sum + size, 0)
    const stood = this.engine.advance(this.fd, bytes)
    const moved = stood < 0 ? 0 : stood - (next - bytes)
    if (moved !== 0) for (const write of writes) write.move(moved)
    return moved
  }

  standAt(position: number): void {
    this.engine.seek(this.fd, position)
  }

  /** Back behind what was written, when no more will be; unless others have gone on meanwhile. */
  returnTo(position: number, next: number): void {
    if (this.engine.advance(this.fd, 0) === next) this.standAt(position)
  }
}
