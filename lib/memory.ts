/** The kinds of memory that callers bring. */
import { types } from 'node:util'
import { invalidArgType, invalidState } from './errors.js'

/** Whatever holds bytes. */
export type Memory = ArrayBufferView | ArrayBufferLike

export function isMemory(value: unknown): value is Memory {
  return ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)
}

/** A view of the same bytes. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE for what was detached (a Uint8Array has no bytes then) */
export function bytesOf(memory: Memory, name: string): Uint8Array {
  if (memory instanceof Uint8Array) return memory
  if (!isMemory(memory)) {
    throw invalidArgType(name, 'an instance of ArrayBuffer, SharedArrayBuffer, Buffer, TypedArray, or DataView', memory)
  }
  try {
    return ArrayBuffer.isView(memory)
      ? new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength)
      : new Uint8Array(memory)
  } catch { // a TypeError without a code; also of a DataView whose memory has shrunk
    throw invalidState(`the ${name} was detached before it was used`)
  }
}

/** Whether its memory was given away: a view of that is as long as one of nothing. */
export function isDetached({ byteLength, buffer }: Uint8Array): boolean {
  if (byteLength > 0) return false
  try {
    void new Uint8Array(buffer) // ArrayBuffer.prototype.detached came with Node 22
    return false
  } catch {
    return true
  }
}

/** Whether nobody can take the memory away while an operation has it: shared memory cannot be detached. */
export function cannotBeDetached(bytes: Uint8Array): boolean {
  return types.isSharedArrayBuffer(bytes.buffer)
}
