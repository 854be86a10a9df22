/** Transfers that may take more than one operation. */
import { operationBytesMax } from './options.js'
import { bytesIn, oneVector, withoutFirst } from './vectors.js'

/** A position in a file; null: where the file is. */
export type At = number | bigint | null

/** What one operation carries of the bytes behind the first `done`. */
export function pieceOf(bytes: Uint8Array, done: number): Uint8Array {
  return done === 0 && bytes.byteLength <= operationBytesMax ? bytes : bytes.subarray(done, done + operationBytesMax)
}

/**
 * Gives what was read before a failure, as read(2) does: the next read will fail.
 * @throws the error if that is nothing, or if it is not the system's
 */
export function readBefore(done: number, error: NodeJS.ErrnoException): number {
  if (done > 0 && typeof error.errno === 'number') return done
  throw error
}

/** Reads what one operation cannot carry; a short read ends it. An abort's `bytesRead` tells what came before it. */
export async function readPieces(
  bytes: Uint8Array, position: At, read: (piece: Uint8Array, at: At) => Promise<number>
): Promise<number> {
  let done = 0
  while (done < bytes.byteLength) {
    const piece = pieceOf(bytes, done)
    try {
      const moved = await read(piece, later(position, done))
      done += moved
      if (moved < piece.byteLength) break
    } catch (error) {
      return readBefore(done, after('bytesRead', done, error as Error))
    }
  }
  return done
}

/**
 * Writes `length` bytes, and goes on after a short write. A failure's `bytesWritten` tells what came before it.
 * @param write writes what is behind the first `done` bytes, or some of it
 */
export async function writeWhole(length: number, position: At, write: (done: number, at: At) => Promise<number>): Promise<number> {
  let done = 0
  do {
    const moved = await write(done, later(position, done)).catch(error => { throw after('bytesWritten', done, error) })
    if (moved === 0) break
    done += moved
  } while (done < length)
  return done
}

/** The same from several buffers. @param whole writes all of them, as `writeWhole` does */
export async function writeVectors(
  buffers: readonly Uint8Array[], position: At, write: (vector: Uint8Array[], at: At) => Promise<number>, whole = writeWhole
): Promise<number> {
  let left = buffers.filter(each => each.byteLength > 0)
  // The kernel has a say even in writing nothing.
  if (left.length === 0) left = buffers.slice(0, 1)
  if (left.length === 0) return 0
  return whole(bytesIn(left), position, async (_done, at) => {
    const moved = await write(oneVector(left), at)
    left = withoutFirst(left, moved)
    return moved
  })
}

/** The error of a transfer that went on from a short one: what was moved before counts. */
function after<K extends 'bytesRead' | 'bytesWritten'>(moved: K, done: number, error: Error & { [P in K]?: number }): Error {
  return done > 0 ? Object.assign(error, { [moved]: done + (error[moved] ?? 0) }) : error
}

/** A position so many bytes further; null stays where the file is. */
export function later(position: At, bytes: number): At {
  if (position === null || bytes === 0) return position
  return typeof position === 'bigint' ? position + BigInt(bytes) : position + bytes
}
