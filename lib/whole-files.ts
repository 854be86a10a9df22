/** readFile and writeFile: whole files at once, by their paths. */
import type { FileContent } from './file-content.js'
import { piecesOf } from './file-content.js'
import type { ContentOptions, UringFile } from './file.js'
import { open } from './open.js'
import type { EngineChoice } from './options.js'
import { streamOptions } from './options.js'
import type { PathLike } from './path.js'
import type { Ring } from './ring.js'

interface WholeFileOptions extends ContentOptions {
  /** Another ring than the thread's shared one. */
  ring?: Ring | undefined
  /** Default 'auto'. */
  engine?: EngineChoice | undefined
}

export interface ReadFileOptions extends WholeFileOptions {
  /** Default 'r'. */
  flag?: string | number | undefined
}

export interface WriteFileOptions extends WholeFileOptions {
  /** Of a file that is made. Default 0o666. */
  mode?: string | number | undefined
  /** Default 'w'. */
  flag?: string | number | undefined
  /** Sync the file before it is closed. Default false. */
  flush?: boolean | undefined
}

/**
 * Reads all of a file, as fs.promises.readFile of a path. Rejects in Node's shape, and with AbortError.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE by the promise
 */
export async function readFile(path: PathLike, options?: (ReadFileOptions & { encoding?: null | undefined }) | null): Promise<Buffer>
export async function readFile(path: PathLike, options: BufferEncoding | (ReadFileOptions & { encoding: BufferEncoding })): Promise<string>
export async function readFile(path: PathLike, options?: ReadFileOptions | BufferEncoding | null): Promise<Buffer | string>
export async function readFile(path: PathLike, options?: ReadFileOptions | BufferEncoding | null): Promise<Buffer | string> {
  const given = streamOptions<ReadFileOptions>(options)
  return withFile(path, given.flag ?? 'r', given, file => file.readFile(given))
}

/**
 * Writes a whole file, as fs.promises.writeFile to a path. When it fails or is aborted, the file has what was written
 * until then.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE by the promise
 */
export async function writeFile(path: PathLike, data: FileContent, options?: WriteFileOptions | BufferEncoding | null): Promise<void> {
  const given = streamOptions<WriteFileOptions>(options)
  piecesOf(data) // nothing that cannot be written costs a file its content
  return withFile(path, given.flag ?? 'w', given, file => file.writeFile(data, given))
}

async function withFile<T>(
  path: PathLike, flags: string | number, { mode, signal, ring, engine }: WriteFileOptions, use: (file: UringFile) => Promise<T>
): Promise<T> {
  const file = await open(path, flags, { mode, signal, ring, engine })
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}
