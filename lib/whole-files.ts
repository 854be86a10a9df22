/** readFile and writeFile: whole files at once, over the streams. */
import { pipeline } from 'node:stream/promises'
import { invalidArgType } from './errors.js'
import type { Memory } from './memory.js'
import { bytesOf, isMemory } from './memory.js'
import { createUringReadStream } from './node-read-stream.js'
import { createUringWriteStream } from './node-write-stream.js'
import type { EngineChoice } from './options.js'
import { streamOptions } from './options.js'
import type { PathLike } from './path.js'
import type { Ring } from './ring.js'

interface WholeFileOptions {
  signal?: AbortSignal
  /** Another ring than the thread's shared one. */
  ring?: Ring
  /** Default 'auto'. */
  engine?: EngineChoice
}

export interface ReadFileOptions extends WholeFileOptions {
  /** Gives a string; default null, which gives a Buffer. */
  encoding?: BufferEncoding | null
  /** Default 'r'. */
  flag?: string | number
}

export interface WriteFileOptions extends WholeFileOptions {
  /** Of strings. Default 'utf8'. */
  encoding?: BufferEncoding | null
  /** Of a file that is made. Default 0o666. */
  mode?: string | number
  /** Default 'w'. */
  flag?: string | number
  /** Sync the file before it is closed. Default false. */
  flush?: boolean
}

/** What can be written: whole, or in pieces. */
export type FileContent = string | Memory | Iterable<string | Memory> | AsyncIterable<string | Memory>

/**
 * Reads all of a file, as fs.promises.readFile of a path. Rejects in Node's shape, and with AbortError.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE by the promise
 */
export async function readFile(path: PathLike, options: BufferEncoding | (ReadFileOptions & { encoding: BufferEncoding })): Promise<string>
export async function readFile(path: PathLike, options?: (ReadFileOptions & { encoding?: null }) | null): Promise<Buffer>
export async function readFile(path: PathLike, options?: ReadFileOptions | BufferEncoding | null): Promise<Buffer | string>
export async function readFile(path: PathLike, options?: ReadFileOptions | BufferEncoding | null): Promise<Buffer | string> {
  const { encoding, flag, ...rest } = streamOptions<ReadFileOptions>(options)
  const chunks: Buffer[] = []
  // Decoded at the end: a chunk may end in the middle of a character.
  for await (const chunk of createUringReadStream(path, { ...rest, flags: flag })) chunks.push(chunk as Buffer)
  const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)
  return encoding == null ? whole : whole.toString(encoding)
}

/**
 * Writes a whole file, as fs.promises.writeFile to a path. When it fails or is aborted, the file has what was written
 * until then.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE by the promise
 */
export async function writeFile(path: PathLike, data: FileContent, options?: WriteFileOptions | BufferEncoding | null): Promise<void> {
  const { encoding, flag, ...rest } = streamOptions<WriteFileOptions>(options)
  const pieces = piecesOf(data)
  const file = createUringWriteStream(path, { ...rest, flags: flag })
  try {
    await pipeline(chunksOf(pieces, encoding ?? 'utf8'), file)
  } catch (error) {
    // A pipeline is over with the first error; the file's last writes may not be.
    if (!file.closed) await new Promise(resolve => file.once('close', resolve))
    throw error
  }
}

type Pieces = Iterable<string | Memory> | AsyncIterable<string | Memory>

function piecesOf(data: FileContent): Pieces {
  if (typeof data === 'string' || isMemory(data)) return [data]
  if (typeof data === 'object' && data !== null && (Symbol.iterator in data || Symbol.asyncIterator in data)) return data
  throw invalidArgType('data', 'of type string or an instance of Buffer, TypedArray, DataView, ArrayBuffer, or an iterable of them', data)
}

async function * chunksOf(pieces: Pieces, encoding: BufferEncoding): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield typeof piece === 'string' ? Buffer.from(piece, encoding) : bytesOf(piece, 'data')
}
