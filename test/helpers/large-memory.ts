/** Memory of more than one operation carries, which is marked at both ends and across the border. */
import { readSync, writeSync } from 'node:fs'
import { freemem } from 'node:os'
import { patterned } from './seeded.js'

const GiB = 2 ** 30
/** So many bytes one operation carries. */
export const border = 0x7fff_f000
export const length = border + 2 ** 20
export const marks = [0, border - 50, length - 100]
/** The reason to skip what needs such memory, and as much again. */
export const tooSmall = freemem() < 8 * GiB && `needs 8 GiB of free memory, there are ${(freemem() / GiB).toFixed(1)}`

export function markAt(position: number): Buffer {
  return patterned(100, position + 1)
}

/** Shared, so that nobody copies it. */
export function largeMemory(): Buffer {
  return Buffer.from(new SharedArrayBuffer(length) as unknown as ArrayBuffer)
}

export function markMemory(memory: Buffer): void {
  for (const mark of marks) markAt(mark).copy(memory, mark)
}

export function isMarked(memory: Buffer): boolean {
  return marks.every(mark => memory.subarray(mark, mark + 100).equals(markAt(mark)))
}

export function markFile(fd: number, places: readonly number[] = marks): void {
  for (const place of places) writeSync(fd, markAt(place), 0, 100, place)
}

export function isMarkedFile(fd: number): boolean {
  return marks.every(mark => {
    const part = Buffer.alloc(100)
    return readSync(fd, part, 0, 100, mark) === 100 && part.equals(markAt(mark))
  })
}
