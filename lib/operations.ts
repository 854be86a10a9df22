/** Builders of single operations, for `Ring.submit` and `Ring.batch`. */
import type { FixedBuffer } from './buffers.js'
import { CancelOperation, LinkTimeoutOperation, TimeoutOperation } from './control-operations.js'
import {
  AT_EMPTY_PATH, AT_REMOVEDIR, cString, currentPosition, FSYNC_DATASYNC, IOSQE_ASYNC, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK, Opcode
} from './engine.js'
import { invalidArgType, invalidArgValue, outOfRange } from './errors.js'
import { HeapBuffer } from './heap-buffer.js'
import { inPieces } from './long-operation.js'
import { O_CLOEXEC, fileMode, openFlags, openingFlags } from './open-flags.js'
import { Operation, ReadOperation, ReadVectorOperation, StatOperation, WriteOperation } from './operation.js'
import type { Memory } from './memory.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'
import { operationBytesMax, validateFd, validateInteger, validatePosition } from './options.js'
import type { BetweenDirectories, File, InDirectory, Range } from './operation-arguments.js'
import { directoryOf, fileOf, memoryOf, messageOf, partOf, vectorOf, workingDirectory } from './operation-arguments.js'
import { buffersMax, bytesIn } from './vectors.js'

function onFile<T extends Operation>(operation: T, file: File, position: number | bigint | null = 0): T {
  if (position !== null) validatePosition(position)
  operation.file = fileOf(file)
  operation.position = position ?? currentPosition
  return operation
}

/** A transfer of all of the views, in pieces where one operation carries no more than some. */
function onViews(
  make: (views: Uint8Array[]) => Operation, views: Uint8Array[], file: File, position: number | bigint | null, viewsMax = Infinity
): Operation {
  return views.length <= viewsMax && bytesIn(views) <= operationBytesMax
    ? onFile(make(views), file, position)
    : inPieces(views, position, (part, at) => onFile(make(part), file, at))
}

const reading = ([view]: Uint8Array[]): Operation => new ReadOperation(view)
const readingVector = (views: Uint8Array[]): Operation => new ReadVectorOperation(views)
const writing = ([view]: Uint8Array[]): Operation => writeOf(Opcode.write, 'write', view)
function writingVector(views: Uint8Array[]): Operation {
  const operation = new WriteOperation(views, Opcode.writev)
  operation.vector = views
  return operation
}

function writeOf(opcode: number, syscall: string, bytes: Uint8Array): Operation {
  const operation = new WriteOperation([bytes], opcode, syscall)
  operation.memory = bytes
  operation.length = bytes.byteLength
  return operation
}

function withPath<T extends Operation>(operation: T, path: PathLike, directory?: number, name = 'options.directory'): T {
  operation.path = validPath(path)
  const fd = directoryOf(directory, name)
  if (fd !== workingDirectory) operation.file = { fd, index: -1 }
  return operation
}

/** Memory that can be given away while the kernel fills it is filled as any other of a caller's. */
function readOf(file: File, fixed: FixedBuffer, range: Range, position: number | bigint | null): Operation {
  const { offset, length } = partOf(fixed, range)
  const operation = onFile(new ReadOperation(fixed.bytes.subarray(offset, offset + length)), file, position)
  operation.fixed = fixed
  return operation
}

function withFixed(opcode: number, syscall: string, file: File, fixed: FixedBuffer, range: Range, position: number | bigint | null): Operation {
  const operation = onFile(new Operation(opcode, syscall), file, position)
  const { offset, length } = partOf(fixed, range)
  operation.fixed = fixed
  operation.buffer = fixed.lease.buffer
  operation.memory = fixed.bytes // for a ring whose registered memory it is not in
  operation.offset = offset
  operation.length = length
  return operation
}

/** What the kernel's fields hold; op_flags of binding/operation.h has 16 bits. */
const u32Max = 0xffff_ffff
const opFlagsMax = 0xffff

/** Flags of timeouts: the time is absolute (CLOCK_MONOTONIC). */
const IORING_TIMEOUT_ABS = 1

function withTime(operation: TimeoutOperation, milliseconds: number, absolute: boolean, count = 0): Operation {
  if (typeof milliseconds !== 'number') validateInteger(milliseconds, 'milliseconds', 0)
  if (!(milliseconds >= 0 && milliseconds <= Number.MAX_SAFE_INTEGER)) throw outOfRange('milliseconds', '>= 0', milliseconds)
  validateInteger(count, 'count', 0, u32Max)
  const seconds = Math.floor(milliseconds / 1000)
  const time = new BigInt64Array([BigInt(seconds), BigInt(Math.round((milliseconds - seconds * 1000) * 1e6))])
  operation.memory = new Uint8Array(time.buffer)
  operation.length = 1
  operation.position = count
  operation.opFlags = absolute ? IORING_TIMEOUT_ABS : 0
  return operation
}

/** Space the kernel fills of `struct statx`, and what we ask for (STATX_BASIC_STATS | STATX_BTIME). */
const statxMask = 0xfff

export const ops = {
  /** Does nothing, by way of the kernel. */
  nop: (): Operation => new Operation(Opcode.nop, 'nop'),

  /**
   * Reads up to the buffer's length at `position`; null: at the file's own position, which io_uring moves only when the read
   * has ended: of two at once both may bring the same bytes. Resolves with what one read brought, which may be less. More
   * than the kernel moves at once (0x7ffff000 bytes, 2 GiB less 4 KiB) becomes a chain of linked operations, here and in
   * the next three: after one that fell short the rest is cancelled, and the result is what was moved until then.
   * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_INVALID_STATE for a buffer that was detached
   */
  read: (file: File, buffer: Memory, position: number | bigint | null = null): Operation =>
    onViews(reading, [memoryOf(buffer)], file, position),
  /** Writes a buffer at `position`; null: at the file's own position. What one write took may be less. */
  write: (file: File, buffer: Memory, position: number | bigint | null = null): Operation =>
    onViews(writing, [memoryOf(buffer)], file, position),
  /** One read into several buffers, in order. */
  readv: (file: File, buffers: readonly Memory[], position: number | bigint | null = null): Operation =>
    onViews(readingVector, vectorOf(buffers), file, position),
  /** One write from several buffers, in order. More than 1024 (UIO_MAXIOV) are a chain, too. */
  writev: (file: File, buffers: readonly Memory[], position: number | bigint | null = null): Operation =>
    onViews(writingVector, vectorOf(buffers), file, position, buffersMax),
  /** Reads into a buffer of a BufferPool or of `registerBuffers`; where it is the ring's or shared memory, without a copy. */
  readFixed: (file: File, buffer: FixedBuffer, position: number | bigint | null = null, range: Range = {}): Operation =>
    buffer.lease.buffer instanceof HeapBuffer
      ? readOf(file, buffer, range, position)
      : withFixed(Opcode.read, 'read', file, buffer, range, position),
  /** Writes from a buffer of a BufferPool. */
  writeFixed: (file: File, buffer: FixedBuffer, position: number | bigint | null = null, range: Range = {}): Operation =>
    withFixed(Opcode.write, 'write', file, buffer, range, position),

  /** Waits until data and metadata are on the disk (fsync(2)). */
  fsync: (file: File): Operation => onFile(new Operation(Opcode.fsync, 'fsync'), file),
  /** Waits until the data is on the disk (fdatasync(2)). */
  fdatasync(file: File): Operation {
    const operation = onFile(new Operation(Opcode.fsync, 'fdatasync'), file)
    operation.opFlags = FSYNC_DATASYNC
    return operation
  },
  /**
   * Opens a file; the result is its descriptor. Flags and mode as in node:fs; relative to `directory`, the working directory
   * by default.
   */
  openat(path: PathLike, flags: string | number = 'r', mode: string | number = 0o666, { directory }: InDirectory = {}): Operation {
    const operation = withPath(new Operation(Opcode.openat, 'open'), path, directory)
    operation.position = openFlags(flags) | O_CLOEXEC
    operation.flags = openingFlags(operation.position)
    operation.length = fileMode(mode)
    operation.openArguments = [flags, mode]
    return operation
  },
  /** Closes a descriptor. */
  close: (fd: number): Operation => onFile(new Operation(Opcode.close, 'close'), fd),
  /** Looks at a file, by path (of `directory`) or by descriptor; the completion's `stats` says what it saw. */
  statx(file: PathLike | number, { directory }: InDirectory = {}): StatOperation {
    const byPath = typeof file !== 'number'
    const operation = new StatOperation(byPath)
    if (byPath) withPath(operation, file, directory)
    else withPath(operation, '', file, 'fd')
    operation.opFlags = byPath ? 0 : AT_EMPTY_PATH
    operation.length = statxMask
    return operation
  },
  /** Allocates space (fallocate(2)); `mode` of FALLOC_FL_*. */
  fallocate(file: File, offset: number, length: number, mode = 0): Operation {
    validatePosition(offset, 'offset')
    validateInteger(length, 'length', 1)
    validateInteger(mode, 'mode', 0, u32Max)
    const operation = onFile(new Operation(Opcode.fallocate, 'fallocate'), file, offset)
    operation.address = length
    operation.length = mode
    return operation
  },
  /** Tells the kernel how a file will be read (posix_fadvise(2)); `advice` of POSIX_FADV_*. */
  fadvise(file: File, offset: number, length: number, advice: number): Operation {
    validatePosition(offset, 'offset')
    validateInteger(length, 'length', 0, u32Max)
    validateInteger(advice, 'advice', 0, opFlagsMax)
    const operation = onFile(new Operation(Opcode.fadvise, 'fadvise'), file, offset)
    operation.length = length
    operation.opFlags = advice
    return operation
  },
  /** Cuts or extends a file. Linux 6.9. */
  ftruncate(file: File, length: number | bigint = 0): Operation {
    validatePosition(length, 'length')
    return onFile(new Operation(Opcode.ftruncate, 'ftruncate'), file, length)
  },
  /** Renames a file, also from one open directory into another. Linux 5.11. */
  renameat(from: PathLike, to: PathLike, { fromDirectory, toDirectory }: BetweenDirectories = {}): Operation {
    const operation = withPath(new Operation(Opcode.renameat, 'rename'), from, fromDirectory, 'options.fromDirectory')
    operation.destination = validPath(to)
    operation.second = cString(operation.destination)
    operation.length = directoryOf(toDirectory, 'options.toDirectory')
    return operation
  },
  /** Removes a file (of `directory`), or with AT_REMOVEDIR (0x200) as `flags` a directory. Linux 5.11. @throws ERR_INVALID_ARG_VALUE */
  unlinkat(path: PathLike, flags = 0, { directory }: InDirectory = {}): Operation {
    if (flags !== 0 && flags !== AT_REMOVEDIR) throw invalidArgValue('flags', flags, 'must be 0 or AT_REMOVEDIR (0x200)')
    const syscall = flags === 0 ? 'unlink' : 'rmdir' // as node:fs calls it
    const operation = withPath(new Operation(Opcode.unlinkat, syscall), path, directory)
    operation.opFlags = flags
    return operation
  },
  /** Moves bytes between two descriptors of which one is a pipe (splice(2)). Null: at the file's own position. Linux 5.7. */
  splice(
    from: number, fromPosition: number | null, to: number, toPosition: number | null, length: number
  ): Operation {
    const operation = onFile(new Operation(Opcode.splice, 'splice'), to, toPosition)
    validateFd(from)
    validateInteger(length, 'length', 0, u32Max)
    if (fromPosition !== null) validateInteger(fromPosition, 'fromPosition', 0)
    operation.extra = from
    operation.address = fromPosition ?? currentPosition
    operation.length = length
    return operation
  },
  /** Sends on a connected socket; `flags` of MSG_*. */
  send(fd: number, buffer: Memory, flags = 0): Operation {
    validateInteger(flags, 'flags', 0, opFlagsMax)
    const operation = onFile(writeOf(Opcode.send, 'send', messageOf(buffer)), fd)
    operation.opFlags = flags
    return operation
  },
  /** Receives from a connected socket; `flags` of MSG_*. */
  recv(fd: number, buffer: Memory, flags = 0): Operation {
    validateInteger(flags, 'flags', 0, opFlagsMax)
    const operation = onFile(new ReadOperation(messageOf(buffer), Opcode.recv, 'recv'), fd)
    operation.opFlags = flags
    return operation
  },
  /**
   * Ends after so many milliseconds, with result -ETIME; or with 0 once `count` other operations have completed.
   * With `absolute` the time is one of CLOCK_MONOTONIC.
   */
  timeout: (milliseconds: number, { absolute = false, count = 0 } = {}): Operation =>
    withTime(new TimeoutOperation(Opcode.timeout, 'timeout'), milliseconds, absolute, count),
  /**
   * Ends an operation early that was submitted to the same ring. Its own completion tells when it has ended: with
   * ECANCELED (EINTR from a worker of the kernel's, as `async()` asks for), or as if nothing had been asked. Fails with
   * ENOENT where nothing was found, as before submission, after the end, behind a link, or on its way from one of the
   * kernel's queues to another; and with EALREADY where it could not be stopped any more. In a full ring what was asked
   * for succeeds. A `signal` does the same by itself, until it has ended.
   */
  cancel(operation: Operation): Operation {
    if (!(operation instanceof Operation)) throw invalidArgType('operation', 'an operation made by ops', operation)
    return new CancelOperation(operation)
  },
  /**
   * Cancels the operation before it in a batch, which must be linked to it, after so many milliseconds, and ends with -ETIME
   * then; with -EALREADY where that could not be stopped (on threads only a timeout can); with -ECANCELED when it was in time.
   * Kernels of today (seen on 6.18) do not stop what blocks in one of their workers, as a splice from an empty pipe does; a
   * `signal` ends that.
   */
  linkTimeout: (milliseconds: number, { absolute = false } = {}): Operation =>
    withTime(new LinkTimeoutOperation(Opcode.linkTimeout, 'timeout'), milliseconds, absolute)
}

export { IOSQE_ASYNC, IOSQE_IO_DRAIN, IOSQE_IO_HARDLINK, IOSQE_IO_LINK }
