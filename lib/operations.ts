/** Builders of single operations, for `Ring.submit`. */
import type { OpenFile } from './engine.js'
import { currentPosition, FSYNC_DATASYNC, Opcode, Request } from './engine.js'
import { errnoError, invalidState } from './errors.js'
import { validateFd, validateInteger, validateView } from './options.js'

/** How an operation ended. */
export interface Completion {
  /** Bytes moved, or 0. */
  result: number
  /** IORING_CQE_F_* */
  flags: number
}

/** One operation, to be submitted once. */
export class Operation extends Request {
  resolve: ((completion: Completion) => void) | null = null
  reject: ((error: Error) => void) | null = null

  constructor(opcode: number, readonly syscall: string) {
    super()
    this.opcode = opcode
  }

  /** Memory of the caller's that the kernel must not be given, for the caller may detach it meanwhile. */
  destination: Uint8Array | null = null

  override completed(result: number, flags: number): void {
    if (result > 0 && this.destination !== null) {
      const { destination, memory } = this
      if (destination.length < result) return this.reject!(invalidState('the buffer was detached while it was read into'))
      destination.set(memory!.subarray(0, result))
    }
    if (result < 0) this.reject!(this.error ?? errnoError(result, this.syscall))
    else this.resolve!({ result, flags })
  }
}

function onFile(opcode: number, syscall: string, fd: number): Operation {
  validateFd(fd)
  const operation = new Operation(opcode, syscall)
  operation.file = { fd, index: -1 } satisfies OpenFile
  return operation
}

function transfer(opcode: number, syscall: string, fd: number, view: Uint8Array, position: number | null): Operation {
  validateView(view, 'buffer')
  if (position !== null) validateInteger(position, 'position', 0)
  const operation = onFile(opcode, syscall, fd)
  if (opcode === Opcode.read) {
    operation.destination = view
    operation.memory = Buffer.allocUnsafeSlow(view.byteLength)
  } else {
    operation.memory = view
  }
  operation.length = view.byteLength
  operation.position = position ?? currentPosition
  return operation
}

function fsyncOf(fd: number, syscall: string, flags: number): Operation {
  const operation = onFile(Opcode.fsync, syscall, fd)
  operation.position = flags
  return operation
}

export const ops = {
  /** Does nothing, by way of the kernel. */
  nop: (): Operation => new Operation(Opcode.nop, 'nop'),
  /**
   * Reads up to `buffer.byteLength` bytes at `position`; null reads at the file's own position.
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
   */
  read: (fd: number, buffer: Uint8Array, position: number | null = null): Operation =>
    transfer(Opcode.read, 'read', fd, buffer, position),
  /**
   * Writes up to `buffer.byteLength` bytes at `position`; null writes at the file's own position.
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
   */
  write: (fd: number, buffer: Uint8Array, position: number | null = null): Operation =>
    transfer(Opcode.write, 'write', fd, buffer, position),
  /** Waits until data and metadata are on the disk (fsync(2)). */
  fsync: (fd: number): Operation => fsyncOf(fd, 'fsync', 0),
  /** Waits until the data is on the disk (fdatasync(2)). */
  fdatasync: (fd: number): Operation => fsyncOf(fd, 'fdatasync', FSYNC_DATASYNC),
  /** Closes a descriptor. */
  close: (fd: number): Operation => onFile(Opcode.close, 'close', fd)
}
