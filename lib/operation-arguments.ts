/** What callers give to the builders of operations, checked. */
import type { FixedBuffer } from './buffers.js'
import type { OpenFile } from './engine.js'
import { invalidArgType, invalidState } from './errors.js'
import type { Memory } from './memory.js'
import { bytesOf, isDetached } from './memory.js'
import { operationBytesMax, validateFd, validateInteger } from './options.js'

/** A descriptor, or a file registered with `ring.registerFiles`. */
export type File = number | OpenFile

export function fileOf(file: File): OpenFile {
  if (typeof file === 'object' && typeof file?.fd === 'number') return file
  validateFd(file)
  return { fd: file as number, index: -1 }
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE for what was detached */
export function memoryOf(memory: Memory): Uint8Array {
  const bytes = bytesOf(memory, 'buffer')
  if (isDetached(bytes)) throw invalidState('the buffer was detached before it was used')
  return bytes
}

/** What is sent or received at once is not split: it may be a datagram. @throws also ERR_OUT_OF_RANGE */
export function messageOf(memory: Memory): Uint8Array {
  const bytes = memoryOf(memory)
  validateInteger(bytes.byteLength, 'buffer.byteLength', 0, operationBytesMax)
  return bytes
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE */
export function vectorOf(buffers: readonly Memory[]): Uint8Array[] {
  if (!Array.isArray(buffers)) throw invalidArgType('buffers', 'an instance of Array', buffers)
  return buffers.map(memoryOf)
}

/** Part of a FixedBuffer, in bytes; all of it by default. */
export interface Range { offset?: number | undefined, length?: number | undefined }

/** Where a relative path begins. */
export interface InDirectory {
  /**
   * The descriptor of an open directory, which stays open until the operation has ended. Default: the working directory.
   * On threads it takes Linux and its /proc, else it fails with ENOSYS; as it does with a caller's own `fs`.
   */
  directory?: number | undefined
}

/** Where the relative paths of a renaming begin, each as in `InDirectory`. */
export interface BetweenDirectories { fromDirectory?: number | undefined, toDirectory?: number | undefined }

/** AT_FDCWD */
export const workingDirectory = -100

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function directoryOf(directory: number | undefined, name: string): number {
  if (directory === undefined) return workingDirectory
  validateFd(directory, name) // the plain number: the kernel takes no registered file here
  return directory
}

/** The part of a buffer. @throws ERR_OUT_OF_RANGE, ERR_INVALID_ARG_TYPE */
export function partOf(fixed: FixedBuffer, { offset = 0, length = fixed.length - offset }: Range): Required<Range> {
  validateInteger(offset, 'offset', 0, fixed.length)
  validateInteger(length, 'length', 0, fixed.length - offset)
  return { offset, length }
}
