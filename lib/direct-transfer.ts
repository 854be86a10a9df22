/** Positional transfers past the page cache, of any place, length and memory. */
import { constants } from 'node:os'
import type { DirectFile } from './direct.js'
import { ceilTo, floorTo, partsOf } from './direct.js'
import type { EngineBuffer, OpenFile } from './engine.js'
import { Opcode } from './engine.js'
import { errnoError, invalidState } from './errors.js'
import { Operation } from './operation.js'
import { ops } from './operations.js'
import { chunkSizeDirect, depthDirect } from './options.js'
import type { Ring } from './ring.js'
import { readBefore, writeWhole } from './transfers.js'

type Place = number | bigint

/** With what was moved before it. */
interface MoveError extends NodeJS.ErrnoException { bytesMoved?: number }

/** How far into a unit a place is. */
function within(unit: number, place: Place): number {
  return typeof place === 'bigint' ? Number(place % BigInt(unit)) : place % unit
}

function plus(place: Place, bytes: number): Place {
  return typeof place === 'bigint' ? place + BigInt(bytes) : place + bytes
}

function detached(what: string): Error {
  return invalidState(`a buffer was detached while it was ${what}`)
}

/** The transfers of one UringFile: through pages of the ring's, several at once. */
export class DirectTransfers {
  readonly #run: (operation: Operation, signal?: AbortSignal) => Promise<number>

  /**
   * @param file the same file with the page cache, for parts of units that are written
   * @param run submits an operation while the file is held open
   */
  constructor(
    readonly ring: Ring, readonly direct: DirectFile, readonly file: OpenFile,
    run: (operation: Operation, signal?: AbortSignal) => Promise<number>
  ) {
    this.#run = run
  }

  /** Fills `bytes` as far as the file goes, or can be read: only with nothing before it a failure is told. */
  async read(bytes: Uint8Array, position: Place, signal?: AbortSignal): Promise<number> {
    const { byteLength } = bytes
    const piece = (at: number): Promise<number> =>
      this.#readPiece(bytes, at, Math.min(chunkSizeDirect, byteLength - at), plus(position, at), signal)
    return this.#pieces(byteLength, piece)
  }

  /**
   * Moves all pieces, some at once; ends behind the first that is short.
   * @param rest moves what is left of one that could not go on in whole units, when nothing else is in flight
   */
  async #pieces(total: number, piece: (at: number) => Promise<number>, rest?: (at: number, size: number) => Promise<void>): Promise<number> {
    let done = 0
    while (done < total) {
      const starts: number[] = []
      for (let at = done; at < total && starts.length < depthDirect; at += chunkSizeDirect) starts.push(at)
      // All of them have ended before an error is told: until then they have the memory.
      for (const outcome of await Promise.allSettled(starts.map(piece))) {
        const wanted = Math.min(chunkSizeDirect, total - done)
        const error: MoveError | null = outcome.status === 'rejected' ? outcome.reason : null
        const moved = outcome.status === 'fulfilled' ? outcome.value : outcome.reason.bytesMoved ?? 0
        done += moved
        if (moved === wanted && error === null) continue
        if (rest === undefined) return error === null ? done : readBefore(done, error)
        if (error === null || error.code === 'EINVAL') {
          await rest(done, wanted - moved).catch(reason => { throw Object.assign(reason, { bytesMoved: done }) })
          done += wanted - moved
        }
        if (error !== null) throw Object.assign(error, { bytesMoved: done })
        break // those behind it once more
      }
    }
    return done
  }

  /** What lies around the piece in its units is read with it. */
  async #readPiece(target: Uint8Array, at: number, size: number, place: Place, signal?: AbortSignal): Promise<number> {
    const { unit } = this.direct
    const skip = within(unit, place)
    const buffer = this.ring.engine.acquirePages(ceilTo(unit, skip + size))
    try {
      let filled = 0
      for (;;) {
        const length = ceilTo(unit, skip + size) - filled
        const more = this.#move(Opcode.read, buffer, filled, plus(place, filled - skip), length, signal)
        const moved = await more.then(bytes => filled + bytes, error => skip + readBefore(filled - skip, error))
        // A read that ends within a unit has come to the end of the file.
        if (moved === filled || moved % unit !== 0 || moved >= skip + size) {
          const bytes = Math.max(0, Math.min(moved - skip, size))
          if (buffer.copyTo(target.subarray(at, at + bytes), skip, bytes) < bytes) throw detached('read into')
          return bytes
        }
        filled = moved
      }
    } finally {
      buffer.free()
    }
  }

  /** Writes all of `bytes`. Parts of units, at both ends, go through the page cache. */
  async write(bytes: Uint8Array, position: Place, signal?: AbortSignal): Promise<number> {
    const { byteLength } = bytes
    const { unit } = this.direct
    let written = 0
    for (const part of partsOf(within(unit, position), byteLength, unit)) {
      const place = plus(position, part.offset)
      const cached = (at: number, size: number): Promise<void> =>
        this.#writeAll(bytes.subarray(part.offset + at, part.offset + at + size), plus(place, at), signal)
      const move = part.direct
        ? this.#pieces(part.size, at =>
          this.#writePiece(bytes, part.offset + at, Math.min(chunkSizeDirect, part.size - at), plus(place, at), signal), cached)
        : cached(0, part.size).then(() => part.size)
      written += await move.catch(error => {
        const before = written + (error.bytesMoved ?? 0)
        delete error.bytesMoved
        throw before > 0 ? Object.assign(error, { bytesWritten: before + (error.bytesWritten ?? 0) }) : error
      })
      if (bytes.byteLength < byteLength) throw detached('being written')
    }
    return written
  }

  /** Through the page cache. */
  async #writeAll(bytes: Uint8Array, place: Place, signal?: AbortSignal): Promise<void> {
    const written = await writeWhole(bytes.byteLength, place, (done, at) => this.#run(ops.write(this.file, bytes.subarray(done), at), signal))
    if (written < bytes.byteLength) throw errnoError(-constants.errno.EIO, 'write') // as if nothing were wrong
  }

  /** Gives fewer bytes than `size` where not even a unit more can be written. */
  async #writePiece(source: Uint8Array, at: number, size: number, place: Place, signal?: AbortSignal): Promise<number> {
    const { unit } = this.direct
    const buffer = this.ring.engine.acquirePages(size)
    let done = 0
    try {
      const pages = buffer.lend(size)
      pages.set(source.subarray(at, at + size))
      buffer.reclaim(pages)
      while (done < size) {
        const moved = floorTo(unit, done + await this.#move(Opcode.write, buffer, done, plus(place, done), size - done, signal))
        if (moved === done) return done
        done = moved
      }
      return done
    } catch (error) {
      throw Object.assign(error as MoveError, { bytesMoved: done })
    } finally {
      buffer.free()
    }
  }

  #move(opcode: number, buffer: EngineBuffer, offset: number, place: Place, length: number, signal?: AbortSignal): Promise<number> {
    const operation = new Operation(opcode, opcode === Opcode.read ? 'read' : 'write')
    operation.file = this.direct.file
    operation.buffer = buffer
    operation.offset = offset
    operation.position = place
    operation.length = length
    return this.#run(operation, signal)
  }
}
