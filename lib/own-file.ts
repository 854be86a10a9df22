/** Files that this library has opened, in the ring's table once that pays. */
import type { Engine, OpenFile } from './engine.js'
import type { NativeEngine } from './native.js'

/**
 * A place in the ring's table costs two system calls, 6 us, as a stream of one small file takes 40; and it saves less than 50 ns
 * for each operation, which in random reads could not be measured (2026-11-26).
 */
const often = 128

/** A file of this library's own opening: in the ring's table once it is used often. */
export class OwnFile implements OpenFile {
  index = -1
  #uses = 0

  constructor(readonly fd: number, readonly engine: Engine, readonly native: NativeEngine) {}

  used(): void {
    if (++this.#uses === often) this.index = this.native.installFile(this.fd)
  }
}
