/** Files and memory that callers register with a ring by themselves. */
import { FixedBuffer } from './buffers.js'
import type { Holding } from './buffers.js'
import type { Engine, EngineBuffer, OpenFile, Request } from './engine.js'
import { invalidArgType, invalidArgValue, invalidState } from './errors.js'
import { bytesOf, cannotBeDetached } from './memory.js'
import type { Memory } from './memory.js'
import { registeredBytesMax, validateFd, validateInteger } from './options.js'

/** A file of `ring.registerFiles`: wherever operations take a descriptor, they take this too. */
export class RegisteredFile implements OpenFile {
  /** @internal */
  constructor(readonly engine: Engine, public file: OpenFile) {}

  /** The descriptor that was registered; -1 after `unregisterFiles`. */
  get fd(): number {
    return this.file.fd
  }

  /** Its place in the ring's table; -1 where that is full, refused or not used (`probe()` tells): operations use the descriptor then. */
  get index(): number {
    return this.file.index
  }
}

const unregistered: OpenFile = { fd: -1, index: -1 }

export function registerFiles(engine: Engine, fds: readonly number[]): RegisteredFile[] {
  if (!Array.isArray(fds)) throw invalidArgType('fds', 'an instance of Array', fds)
  for (const fd of fds) checkOpen(engine, fd)
  return fds.map(fd => new RegisteredFile(engine, engine.install(fd)))
}

export function updateFiles(
  engine: Engine, files: readonly RegisteredFile[], fds: readonly number[], queue: Request | null
): void {
  mayChange(engine, files, queue)
  if (!Array.isArray(fds)) throw invalidArgType('fds', 'an instance of Array', fds)
  validateInteger(fds.length, 'fds.length', files.length, files.length)
  for (const fd of fds) checkOpen(engine, fd)
  for (const [i, registered] of files.entries()) {
    engine.forget(registered.file)
    registered.file = engine.install(fds[i])
  }
}

export function unregisterFiles(engine: Engine, files: readonly RegisteredFile[], queue: Request | null): void {
  mayChange(engine, files, queue)
  for (const registered of files) {
    engine.forget(registered.file)
    registered.file = unregistered
  }
}

function checkOpen(engine: Engine, fd: number): void {
  validateFd(fd)
  // On threads this would be answered later; there the operations say so.
  if (engine.kind === 'uring') engine.inspect(fd, error => { if (error !== null) throw error })
}

/**
 * What was submitted for a file must not find another one in its place: linked operations, and those that a worker of
 * the kernel's does, look their file up late.
 */
function mayChange(engine: Engine, files: readonly RegisteredFile[], queue: Request | null): void {
  if (!Array.isArray(files)) throw invalidArgType('files', 'an array of registered files', files)
  if (new Set(files).size < files.length) throw invalidArgValue('files', files, 'names a file twice')
  for (const file of files) {
    if (!(file instanceof RegisteredFile)) throw invalidArgType('files', 'an array of registered files', file)
    if (file.engine !== engine || file.file === unregistered) throw invalidState('the file is not registered with this ring')
  }
  for (let request = queue; request !== null; request = request.next) {
    for (const { file } of request.chain ?? [request]) if (files.includes(file as RegisteredFile)) throw inUse()
  }
  if (files.some(file => engine.using(file))) throw inUse()
}

function inUse(): Error {
  return invalidState('an operation on the file has not ended')
}

/** Memory of a caller's, until it is unregistered and no operation has it any more. */
class RegisteredMemory implements Holding {
  #references = 1

  constructor(readonly engine: Engine, readonly buffer: EngineBuffer, readonly chunk: Buffer) {}

  retain(): void {
    this.#references++
  }

  release(): void {
    if (--this.#references === 0) this.buffer.free()
  }
}

export function registerBuffers(engine: Engine, memories: readonly Memory[]): FixedBuffer[] {
  if (!Array.isArray(memories)) throw invalidArgType('buffers', 'an instance of Array', memories)
  const views = memories.map(registrable)
  const buffers: FixedBuffer[] = []
  try {
    for (const bytes of views) {
      const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      buffers.push(new FixedBuffer(new RegisteredMemory(engine, engine.registerBuffer(bytes), chunk)))
    }
  } catch (error) {
    for (const buffer of buffers) buffer.release()
    throw error
  }
  return buffers
}

function registrable(memory: Memory): Uint8Array {
  const bytes = bytesOf(memory, 'buffer')
  if (!cannotBeDetached(bytes)) {
    throw invalidArgValue('buffer', memory, 'must be a SharedArrayBuffer or a view of one: other memory can be detached while the kernel has it')
  }
  validateInteger(bytes.byteLength, 'buffer.byteLength', 1, registeredBytesMax)
  return bytes
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_STATE for a buffer of another ring or one that was released */
export function unregisterBuffers(engine: Engine, buffers: readonly FixedBuffer[]): void {
  if (!Array.isArray(buffers)) throw invalidArgType('buffers', 'an array of registered buffers', buffers)
  if (new Set(buffers).size < buffers.length) throw invalidArgValue('buffers', buffers, 'names a buffer twice')
  for (const buffer of buffers) {
    if (!(buffer instanceof FixedBuffer)) throw invalidArgType('buffers', 'an array of registered buffers', buffer)
    const { lease } = buffer
    if (!(lease instanceof RegisteredMemory) || lease.engine !== engine) throw invalidState('the buffer is not registered with this ring')
  }
  for (const buffer of buffers) buffer.release()
}
