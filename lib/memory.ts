/** The kinds of memory that callers bring. */
import { types } from 'node:util'
import { invalidArgType } from './errors.js'

/** Whatever holds bytes. */
export type Memory = ArrayBufferView | ArrayBufferLike

export function isMemory(value: unknown): value is Memory {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)
}

/** A view of the same bytes. @throws ERR_INVALID_ARG_TYPE */
export function bytesOf(memory: Memory, name: string): Uint8Array {
  if (memory instanceof Uint8Array) return memory
  if (ArrayBuffer.isView(memory)) return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength)
  if (types.isAnyArrayBuffer(memory)) return new Uint8Array(memory)
  throw invalidArgType(name, 'an instance of ArrayBuffer, SharedArrayBuffer, Buffer, TypedArray, or DataView', memory)
}

/** Whether nobody can take the memory away while an operation has it: shared memory cannot be detached. */
export function cannotBeDetached(bytes: Uint8Array): boolean {
  return types.isSharedArrayBuffer(bytes.buffer)
}
