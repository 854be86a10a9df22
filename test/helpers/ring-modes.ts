import { readdirSync, readFileSync } from 'node:fs'
import { ops, Ring } from '../../lib/index.js'
import type { RingOptions } from '../../lib/index.js'
import { notUring } from './ring-state.js'
import { turn } from './stream-events.js'

/** Rings of every kind that can do everything. */
export const ringModes: Record<string, RingOptions> = {
  'ring': { wakeup: 'ring' },
  'eventfd': { wakeup: 'eventfd' },
  'thread': { wakeup: 'thread' },
  'sqPoll': { sqPoll: { idleMs: 20 } },
  'sqPoll, eventfd': { sqPoll: { idleMs: 20 }, wakeup: 'eventfd' },
  'sqPoll, thread': { sqPoll: { idleMs: 20 }, wakeup: 'thread' },
  'tiny eventfd': { entries: 1, cqEntries: 2, wakeup: 'eventfd' },
  'tiny thread': { entries: 1, cqEntries: 2, wakeup: 'thread' },
  'tiny sqPoll': { entries: 1, cqEntries: 2, sqPoll: { idleMs: 20 } }
}

/** Why such a ring cannot be had here, or false. */
export async function refused(options: RingOptions): Promise<string | false> {
  if (notUring) return notUring
  try {
    await new Ring(options).close()
    return false
  } catch (error) {
    return (error as Error).message
  }
}

/** The threads of this process that rings have: the kernel's polling threads, and our reapers. */
export function ringThreads(): Thread[] {
  return threadsNamed(/^(iou-sqp|uring-reaper)/)
}

interface Thread { id: string, name: string }

export function threadsNamed(pattern: RegExp): Thread[] {
  const threads: Thread[] = []
  for (const task of readdirSync('/proc/self/task')) {
    try {
      const name = readFileSync(`/proc/self/task/${task}/comm`, 'latin1').trim()
      if (pattern.test(name)) threads.push({ id: task, name })
    } catch {
      // It has ended meanwhile.
    }
  }
  return threads
}

/** The kernel ends its polling threads a moment after their ring is closed; says nothing of it. Hangs if they stay. */
export async function ringThreadsGone(): Promise<void> {
  while (ringThreads().length > 0) await turn()
}

/** Bytes of a file in pieces of 4 KiB, by so many reads at once. */
export async function readPieces(ring: Ring, fd: number, length: number): Promise<Buffer> {
  const pieces: Promise<Buffer>[] = []
  for (let position = 0; position < length; position += 4096) {
    const piece = Buffer.alloc(Math.min(4096, length - position))
    pieces.push(ring.submit(ops.read(fd, piece, position)).then(({ result }) => piece.subarray(0, result)))
  }
  return Buffer.concat(await Promise.all(pieces))
}
