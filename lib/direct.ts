/** Direct IO: past the page cache, in whole units of the file system's, whatever its users ask for. */
import { constants } from 'node:fs'
import type { FileFacts, OpenFile } from './engine.js'
import { adopt, Opcode, Request } from './engine.js'
import { directUnavailable, errnoError } from './errors.js'
import { O_CLOEXEC } from './open-flags.js'
import { inspectFile, loadNative } from './native.js'
import type { Ring } from './ring.js'

/** `true`: direct, or an error. 'prefer': through the page cache where direct IO is refused. */
export type DirectChoice = boolean | 'prefer'

/**
 * Bytes that direct transfers are whole multiples of, and begin at: what every file system takes that says nothing of
 * its own, and a page, so that what is written through the page cache (heads and tails) shares none with what is not.
 */
export const directUnitMin = 4096

/** The largest multiple of the unit that is no more than `bytes`, */
export function floorTo(unit: number, bytes: number): number {
  return bytes - bytes % unit
}

/** and the smallest that is no less. */
export function ceilTo(unit: number, bytes: number): number {
  return floorTo(unit, bytes + unit - 1)
}

/** A descriptor of its own with O_DIRECT, beside one without. */
export interface DirectFile {
  readonly file: OpenFile
  /** Bytes, a power of two. */
  readonly unit: number
  /** Of the one without. */
  readonly facts: FileFacts
}

/** Part of a range in a file. */
export interface Part {
  /** From the range's beginning. */
  readonly offset: number
  readonly size: number
  readonly direct: boolean
}

/**
 * The parts of a range that is to be written: whole units go direct; what is before the first and behind the last of
 * them goes through the page cache, byte for byte. The other way, to write whole units with zeros behind the end and
 * to cut the file afterwards, is not safe: bytes of others that follow are lost where the range is in the middle of a
 * file, and zeros stay where the process ends before the cut.
 */
export function partsOf(position: number, size: number, unit: number): Part[] {
  const head = Math.min(size, ceilTo(unit, position) - position)
  const middle = floorTo(unit, size - head)
  const tail = size - head - middle
  const parts = [
    { offset: 0, size: head, direct: false },
    { offset: head, size: middle, direct: true },
    { offset: head + middle, size: tail, direct: false }
  ]
  return parts.filter(part => part.size > 0)
}

type Opened = (error: Error | null, direct: DirectFile | null) => void

/** A request whose result a callback gets. */
class Asking extends Request {
  constructor(readonly answered: (result: number) => void) {
    super()
  }

  override completed(result: number): void {
    this.answered(result)
  }
}

/**
 * Opens an open file a second time, with O_DIRECT. Not by its own path, which may be another file's by now, nor by
 * setting the flag on `fd`: heads and tails need the page cache at the same time, and others may share a given
 * descriptor. The error says why direct IO is not to be had.
 */
export function openDirect(
  ring: Ring, fd: number, access: number, path: string | Buffer | undefined, opened: Opened
): void {
  const refused = (code: string, reason: string): void => opened(directUnavailable(code, reason, path), null)
  if (constants.O_DIRECT === undefined) return refused('ENOSYS', `${process.platform} has no O_DIRECT`)
  const addon = loadNative()
  // Reading and writing by libuv's threads does well without it, but where memory begins it alone can tell.
  if (addon instanceof Error) return refused('ERR_DLOPEN_FAILED', 'without the addon memory cannot be aligned')
  const facts = inspectFile(addon, fd)
  if (typeof facts === 'number') return refused(errnoError(facts, 'fstat').code, 'the file cannot be looked at')
  if (!facts.regular && !facts.block) return refused('EINVAL', 'it is neither a regular file nor a block device')
  if (facts.append) return refused('EINVAL', 'what is appended begins wherever the file ends')
  if (facts.directAlignment === 0) return refused('EINVAL', 'the file system has no direct IO for this file')
  const unit = Math.max(directUnitMin, facts.directAlignment)
  const request = new Asking(result => {
    if (result >= 0) return opened(null, { file: ring.engine.installLater(result), unit, facts })
    const { code } = errnoError(result, 'open')
    refused(code, code === 'EINVAL' ? 'the file system refuses O_DIRECT' : 'the file cannot be opened again by /proc/PID/fd')
  })
  const flags = access | constants.O_DIRECT | O_CLOEXEC
  request.opcode = Opcode.openat
  request.opFlags = adopt
  request.openArguments = [flags, 0]
  request.position = flags
  // By number: a worker of an old kernel's has another /proc/self.
  request.path = `/proc/${process.pid}/fd/${fd}`
  ring.start(request)
}
