/** The options of the Web streams. */
import { onAbort, validateSignal } from './abort.js'
import { invalidArgType } from './errors.js'
import { validateReadOptions, validateWriteOptions } from './node-stream-options.js'
import type { StreamOptions } from './options.js'
import type { FileHandleLike } from './stream-file.js'
import type { DurabilityOptions } from './written-file.js'

interface WebStreamOptions extends StreamOptions {
  /** An open descriptor, FileHandle or UringFile; `path` is ignored then. */
  fd?: number | FileHandleLike | null | undefined
  /** Of a file that is made. Default 0o666. */
  mode?: string | number | undefined
  /** Whether a given `fd` is closed at the end and after an error. Default true. */
  autoClose?: boolean | undefined
  /** Errors the stream with the signal's reason; one that is aborted already opens no file. */
  signal?: AbortSignal | undefined
  /** First byte. Default: where a given `fd` stands; 0. */
  start?: number | undefined
}

export interface ReadableStreamOptions extends WebStreamOptions {
  /** Default 'r'. */
  flags?: string | number | undefined
  /** Last byte, inclusive. Default Infinity. */
  end?: number | undefined
  /** Reads kept in flight, of those that bring no buffer of their own. Default 4, 8 with `direct`; at most 1024. */
  readAhead?: number | undefined
}

export interface WritableStreamOptions extends WebStreamOptions, DurabilityOptions {
  /** Default 'w'. */
  flags?: string | number | undefined
  /** Writes kept in flight. Default 4, 8 with `direct`; at most 1024. */
  writeBehind?: number | undefined
}

function validate<T extends WebStreamOptions>(options: T | undefined, rest: (options: T) => void): T {
  const given = options ?? {} as T
  if (typeof given !== 'object') throw invalidArgType('options', 'an instance of Object', options)
  if (given.signal !== undefined) validateSignal(given.signal)
  rest(given)
  return given
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function readableOptions(options: ReadableStreamOptions | undefined): ReadableStreamOptions {
  return validate(options, validateReadOptions)
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function writableOptions(options: WritableStreamOptions | undefined): WritableStreamOptions {
  return validate(options, validateWriteOptions)
}

/** `onAbort` for a signal that may not be there. */
export function onOptionalAbort(signal: AbortSignal | undefined, action: (reason: unknown) => void): () => void {
  return signal === undefined ? () => {} : onAbort(signal, () => action(signal.reason))
}
