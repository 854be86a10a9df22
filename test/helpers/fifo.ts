import { readSync } from 'node:fs'
import { turn } from './stream-events.js'

/** Reads so many bytes from a non-blocking descriptor, `piece` at a time with a turn of the event loop between. */
export async function readFifo(fd: number, length: number, piece = 65_536): Promise<Buffer> {
  const content = Buffer.alloc(length)
  for (let filled = 0; filled < length;) {
    filled += readSome(fd, content, filled, Math.min(piece, length - filled))
    await turn()
  }
  return content
}

/** Empties a FIFO until `over` has settled: nobody knows how much comes. */
export async function emptyFifo(fd: number, over: Promise<unknown>): Promise<void> {
  const somewhere = Buffer.alloc(65_536)
  let settled = false
  const mark = (): void => { settled = true }
  over.then(mark, mark)
  for (; !settled; await turn()) readSome(fd, somewhere, 0, somewhere.length)
}

/** Bytes read; 0 while there are none. */
function readSome(fd: number, into: Buffer, offset: number, length: number): number {
  try {
    return readSync(fd, into, offset, length, null)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
    throw error
  }
}
