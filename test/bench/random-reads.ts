// Random reads of 4 KiB blocks: one plan, carried out in different ways.
import { constants, read as fsRead } from 'node:fs'
import { open as openHandle } from 'node:fs/promises'
import type { FixedBuffer, UringFile } from '../../lib/index.js'
import { BufferPool, open, ops, Ring } from '../../lib/index.js'
import { Seeded } from '../helpers/seeded.js'
import { seconds } from './harness.js'

export const blockBytes = 4096

export interface Plan {
  path: string
  /** Of the file: reads are anywhere in it. */
  bytes: number
  direct: boolean
  /** Reads in flight: each of so many loops waits for its own. */
  depth: number
  count: number
  seed: number
}

/** Looks at a block that was read; false when it is not what the file has there. */
export type Check = (block: Uint8Array, position: number) => boolean

/** The next position, or -1 at the end. */
type Next = () => number

interface Loops {
  /** Reads blocks into a buffer until there is no next. */
  loop(buffer: FixedBuffer, next: Next): Promise<void>
  close(): Promise<void>
}

const flagsOf = ({ direct }: Plan) => constants.O_RDONLY | (direct ? constants.O_DIRECT : 0)

function seen(bytes: number, block: Uint8Array, position: number, check: Check): void {
  if (bytes !== blockBytes) throw new Error(`${bytes} bytes read at ${position}`)
  if (!check(block, position)) throw new Error(`wrong bytes in the block at ${position}`)
}

function loopsOf(file: UringFile, check: Check, read: (buffer: FixedBuffer, position: number) => Promise<number>): Loops {
  return {
    close: () => file.close(),
    async loop(buffer, next) {
      const block = buffer.bytes
      for (let at; (at = next()) >= 0;) seen(await read(buffer, at), block, at, check)
    }
  }
}

async function byRing(plan: Plan, check: Check): Promise<Loops> {
  const ring = Ring.shared()
  const file = await open(plan.path, flagsOf(plan))
  const [registered] = ring.registerFiles([file.fd])
  return {
    async close() {
      ring.unregisterFiles([registered])
      await file.close()
    },
    async loop(buffer, next) {
      const block = buffer.bytes
      for (let at; (at = next()) >= 0;) {
        const { result } = await ring.submit(ops.readFixed(registered, buffer, at))
        seen(result, block, at, check)
      }
    }
  }
}

async function byFixed(plan: Plan, check: Check): Promise<Loops> {
  const file = await open(plan.path, flagsOf(plan))
  return loopsOf(file, check, async (buffer, at) => (await file.readFixed(buffer, at)).bytesRead)
}

async function byFile(plan: Plan, check: Check): Promise<Loops> {
  const file = await open(plan.path, flagsOf(plan))
  return loopsOf(file, check, async (buffer, at) => (await file.read(buffer.bytes, 0, blockBytes, at)).bytesRead)
}

async function byHandle(plan: Plan, check: Check): Promise<Loops> {
  const file = await openHandle(plan.path, flagsOf(plan))
  return {
    close: () => file.close(),
    async loop(buffer, next) {
      const block = buffer.bytes
      for (let at; (at = next()) >= 0;) seen((await file.read(block, 0, blockBytes, at)).bytesRead, block, at, check)
    }
  }
}

async function byCallback(plan: Plan, check: Check): Promise<Loops> {
  const file = await openHandle(plan.path, flagsOf(plan))
  return {
    close: () => file.close(),
    loop: (buffer, next) => new Promise((resolve, reject) => {
      const block = buffer.bytes
      const again = (): void => {
        const at = next()
        if (at < 0) return resolve()
        fsRead(file.fd, block, 0, blockBytes, at, (error, bytes) => {
          try {
            if (error) throw error
            seen(bytes, block, at, check)
            again()
          } catch (wrong) {
            reject(wrong as Error)
          }
        })
      }
      again()
    })
  }
}

const ways = {
  'ring.submit(ops.readFixed)': byRing,
  'UringFile.readFixed': byFixed,
  'UringFile.read': byFile,
  'FileHandle.read': byHandle,
  'fs.read': byCallback
}

export type Way = keyof typeof ways

/** Drawn before the time begins, as they are no part of the reading. */
function positions({ bytes, count, seed }: Plan): Next {
  const random = new Seeded(seed)
  const last = Math.floor(bytes / blockBytes) - 1
  const blocks = Uint32Array.from({ length: count }, () => random.between(0, last))
  let next = 0
  return () => next < count ? blocks[next++] * blockBytes : -1
}

/**
 * The seconds that a plan takes, without the opening of its file. All ways read into memory of the same kind: a pool's
 * buffers, on page boundaries as direct reads want them.
 */
export async function randomReads(way: Way, plan: Plan, check: Check): Promise<number> {
  const pool = new BufferPool(Ring.shared(), { bufferSize: blockBytes, count: plan.depth })
  const loops = await ways[way](plan, check)
  try {
    const buffers = await Promise.all(Array.from({ length: plan.depth }, () => pool.acquire()))
    const next = positions(plan)
    const taken = await seconds(() => Promise.all(buffers.map(buffer => loops.loop(buffer, next))))
    for (const buffer of buffers) buffer.release()
    return taken
  } finally {
    await loops.close()
    pool.close()
  }
}
