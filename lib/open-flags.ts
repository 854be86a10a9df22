/** The flags and modes that node:fs takes, as numbers. */
import { constants } from 'node:fs'
import { IOSQE_ASYNC } from './engine.js'
import { invalidArgValue } from './errors.js'
import { validateInteger } from './options.js'

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = constants

/** Not among node:fs's constants. Children of this process must not inherit a descriptor. */
export const O_CLOEXEC = 0o2000000

const byName = new Map<string, number>([
  ['r', O_RDONLY],
  ['rs', O_RDONLY | O_SYNC],
  ['r+', O_RDWR],
  ['rs+', O_RDWR | O_SYNC],
  ['w', O_TRUNC | O_CREAT | O_WRONLY],
  ['wx', O_TRUNC | O_CREAT | O_WRONLY | O_EXCL],
  ['w+', O_TRUNC | O_CREAT | O_RDWR],
  ['wx+', O_TRUNC | O_CREAT | O_RDWR | O_EXCL],
  ['a', O_APPEND | O_CREAT | O_WRONLY],
  ['ax', O_APPEND | O_CREAT | O_WRONLY | O_EXCL],
  ['as', O_APPEND | O_CREAT | O_WRONLY | O_SYNC],
  ['a+', O_APPEND | O_CREAT | O_RDWR],
  ['ax+', O_APPEND | O_CREAT | O_RDWR | O_EXCL],
  ['as+', O_APPEND | O_CREAT | O_RDWR | O_SYNC]
])
const otherOrders: Record<string, string> =
  { sr: 'rs', 'sr+': 'rs+', xw: 'wx', 'xw+': 'wx+', xa: 'ax', 'xa+': 'ax+', sa: 'as', 'sa+': 'as+' }

/** @throws ERR_INVALID_ARG_VALUE for a name that node:fs does not know, ERR_OUT_OF_RANGE */
export function openFlags(flags: string | number): number {
  if (typeof flags === 'number') {
    validateInteger(flags, 'flags', -(2 ** 31), 2 ** 31 - 1)
    return flags
  }
  const found = byName.get(otherOrders[flags] ?? flags)
  if (found === undefined) throw invalidArgValue('flags', flags)
  return found
}

/**
 * IOSQE_* of an opening: a FIFO that nobody reads yet is refused at the kernel's own try, which has O_NONBLOCK (ENXIO; Linux
 * 6.18), where its worker waits for a reader as open(2) does. What may make or empty a file goes to a worker in any case.
 */
export function openingFlags(flags: number): number {
  return (flags & (O_RDWR | O_WRONLY)) === O_WRONLY ? IOSQE_ASYNC : 0
}

/** @throws ERR_INVALID_ARG_VALUE for a string that is not octal, ERR_OUT_OF_RANGE */
export function fileMode(mode: string | number): number {
  if (typeof mode === 'number') {
    validateInteger(mode, 'mode', 0, 2 ** 32 - 1)
    return mode
  }
  if (!/^[0-7]+$/.test(mode)) {
    throw invalidArgValue('mode', mode, 'must be a 32-bit unsigned integer or an octal string')
  }
  return parseInt(mode, 8)
}
