/** Requests as the engine's native side reads them: binding/operation.h has the layout. */
import type { Engine, Request } from './engine.js'
import { allOperations, cString, Opcode } from './engine.js'
import type { NativeEngine, SharedMemory } from './native.js'
import { arenaMemory, descriptorWords } from './native.js'
import { RegisteredBuffer } from './registered-buffer.js'

const IOSQE_FIXED_FILE = 1
const AT_FDCWD = -100

export class Descriptors {
  readonly #words: Uint32Array
  readonly #extras: Uint32Array

  constructor(readonly engine: Engine, readonly native: NativeEngine, memory: SharedMemory) {
    this.#words = memory.descriptors
    this.#extras = memory.extras
  }

  /** Writes the request, which has its slot, at an index of the shared memory. */
  write(index: number, request: Request): void {
    const words = this.#words
    const at = index * descriptorWords
    let { opcode, flags } = request
    const { file, buffer, memory, position } = request
    let fd = request.path === null ? -1 : AT_FDCWD
    if (file !== null) {
      if (file.index < 0) file.used?.()
      const fixed = file.index >= 0 && file.engine === this.engine
      if (fixed) flags |= IOSQE_FIXED_FILE
      fd = fixed ? file.index : file.fd
    }
    words[at + 1] = request.slot
    words[at + 3] = request.length
    if (typeof position === 'bigint') {
      words[at + 4] = Number(position & 0xffff_ffffn)
      words[at + 5] = Number(position >> 32n)
    } else {
      words[at + 4] = position // modulo 2^32: the low half
      words[at + 5] = Math.floor(position / 0x1_0000_0000)
    }
    if (buffer !== null && buffer.engine === this.engine && buffer.arenaOffset >= 0) {
      flags |= arenaMemory
      words[at + 6] = buffer.arenaOffset + request.offset
      words[at + 7] = 0
    } else if (buffer instanceof RegisteredBuffer && buffer.engine === this.engine) {
      this.native.setAddress(index, buffer.bytes, request.offset)
      this.#extras[request.slot] = buffer.index
      opcode = opcode === Opcode.read ? allOperations.readFixed : allOperations.writeFixed
    } else if (memory !== null) {
      this.native.setAddress(index, memory, request.offset)
    } else if (buffer !== null) {
      this.native.setAddress(index, buffer.bytes!, request.offset)
    } else {
      this.#writeRare(index, request)
    }
    words[at] = opcode | flags << 8 | request.opFlags << 16
    words[at + 2] = fd
    if (buffer !== null && request.range !== null) this.native.addLane(index, request.range.words, request.piece!.words)
  }

  #writeRare(index: number, request: Request): void {
    const { path, vector, second, extra, address } = request
    const at = index * descriptorWords
    this.#words[at + 6] = address
    this.#words[at + 7] = Math.floor(address / 0x1_0000_0000)
    if (path !== null) {
      request.pathBytes = cString(path) // kept there until it completes
      this.native.setAddress(index, request.pathBytes, 0)
    }
    if (vector !== null) this.native.setVector(index, request.slot, vector)
    if (second !== null) this.native.setAddress(index, second, 0, true)
    this.#extras[request.slot] = extra
  }
}
