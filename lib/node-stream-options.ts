/** The options of the node streams. */
import { invalidArgType, invalidArgValue, notImplemented, outOfRange } from './errors.js'
import type { BufferOwnership, FileFunctions, StreamOptions } from './options.js'
import { validateBoolean, validateDirect, validateFunction, validateInteger, validateOneOf } from './options.js'
import type { FileHandleLike } from './stream-file.js'
import type { DurabilityOptions } from './written-file.js'

interface FileStreamOptions extends StreamOptions {
  /** Of what is read: without one, chunks are Buffers; and of strings that are written, default 'utf8'. */
  encoding?: BufferEncoding | null | undefined
  /** An open descriptor, FileHandle or UringFile; `path` is ignored then. */
  fd?: number | FileHandleLike | null | undefined
  /** Of a file that is made. Default 0o666. */
  mode?: string | number | undefined
  /** Whether the file is closed at the end and after an error. Default true. */
  autoClose?: boolean | undefined
  /** Whether 'close' is emitted. Default true. */
  emitClose?: boolean | undefined
  /** Destroys the stream with an AbortError; one that is aborted already opens no file. */
  signal?: AbortSignal | null | undefined
}

/** All options of fs.createReadStream, and those of this library. */
export interface ReadStreamOptions extends FileStreamOptions {
  /** Default 'r'. */
  flags?: string | number | undefined
  /** First byte. Default: where a given `fd` stands; 0. */
  start?: number | undefined
  /** Last byte, inclusive. Default Infinity. */
  end?: number | undefined
  /** Default: the chunk size. */
  highWaterMark?: number | undefined
  /** A caller's own open, read and close. */
  fs?: FileFunctions | null | undefined
  /** Reads kept in flight. Default 4, 8 with `direct`; at most 1024. */
  readAhead?: number | undefined
  /** Whose the chunks are. Default 'owned'. */
  buffers?: BufferOwnership | undefined
}

/** All options of fs.createWriteStream, and those of this library. */
export interface WriteStreamOptions extends FileStreamOptions, DurabilityOptions {
  /** Default 'w'. */
  flags?: string | number | undefined
  /** First byte. Default: where a given `fd` stands; 0. What is appended (`flags: 'a'`) goes to the file's end all the same. */
  start?: number | undefined
  /** Of strings, where no `encoding` is given. Default 'utf8'. */
  defaultEncoding?: BufferEncoding | undefined
  /** Bytes to accept before `write()` answers false. Default: what `writeBehind` chunks hold. */
  highWaterMark?: number | undefined
  /** A caller's own open, write or writev, and close. */
  fs?: FileFunctions | null | undefined
  /** Writes kept in flight. Default 4, 8 with `direct`; at most 1024. */
  writeBehind?: number | undefined
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function validateReadOptions({ start, end, fs, direct, buffers = 'owned' }: ReadStreamOptions): void {
  validateDirect(direct)
  if (fs != null && direct) throw notImplemented('direct with fs')
  validateOneOf(buffers, 'options.buffers', ['owned', 'leased'])
  if (start !== undefined) validateInteger(start, 'start', 0)
  if (end === undefined || end === Infinity) return
  validateInteger(end, 'end', 0)
  if (start !== undefined && start > end) throw outOfRange('start', `<= "end" (here: ${end})`, start)
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function validateWriteOptions(options: WriteStreamOptions): void {
  const { fs, flush, start } = options
  if (fs != null && fs.write == null && fs.writev == null) {
    throw invalidArgType('options.fs.write', 'of type function', fs.write)
  }
  if (fs?.write != null) validateFunction(fs.write, 'options.fs.write')
  if (fs?.writev != null) validateFunction(fs.writev, 'options.fs.writev')
  if (flush != null) {
    validateBoolean(flush, 'options.flush')
    if (fs != null) validateFunction(fs.fsync, 'options.fs.fsync')
  }
  if (start !== undefined) validateInteger(start, 'start', 0)
  validateDurability(options)
}

function validateDurability({ fs, fd, flags = 'w', start, direct, sync, atomic = false, preallocate }: WriteStreamOptions): void {
  validateDirect(direct)
  if (sync !== undefined) validateOneOf(sync, 'options.sync', ['data', 'full'])
  validateBoolean(atomic, 'options.atomic')
  if (preallocate !== undefined) validateInteger(preallocate, 'options.preallocate', 1)
  const wanted = Object.entries({ direct, sync, atomic, preallocate }).find(([, value]) => value !== undefined && value !== false)
  if (fs != null && wanted !== undefined) throw notImplemented(`${wanted[0]} with fs`)
  if (!atomic) return
  if (fd != null) throw invalidArgValue('options.atomic', atomic, 'needs a path, not a descriptor')
  if (flags !== 'w') throw invalidArgValue('options.flags', flags, 'must be \'w\' with atomic')
  if (start) throw invalidArgValue('start', start, 'must be 0 with atomic')
}
