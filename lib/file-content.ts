/** The whole content of a file: what can be written as one, and chunks joined to one. */
import { invalidArgType } from './errors.js'
import type { Memory } from './memory.js'
import { bytesOf, isMemory } from './memory.js'

/** What can be written: whole, or in pieces. */
export type FileContent = string | Memory | Iterable<string | Memory> | AsyncIterable<string | Memory>

/** @throws ERR_INVALID_ARG_TYPE */
export function piecesOf(data: FileContent): Iterable<string | Memory> | AsyncIterable<string | Memory> {
  if (typeof data === 'string' || isMemory(data)) return [data]
  if (typeof data === 'object' && data !== null && (Symbol.iterator in data || Symbol.asyncIterator in data)) return data
  throw invalidArgType('data', 'of type string or an instance of Buffer, TypedArray, DataView, ArrayBuffer, or an iterable of them', data)
}

/** Writes content and closes the stream. Where the content fails, what it gave before is written, as node:fs does. */
export async function writeContent(stream: WritableStream<Uint8Array>, data: FileContent, encoding: BufferEncoding): Promise<void> {
  const writer = stream.getWriter()
  try {
    for await (const piece of piecesOf(data)) {
      await writer.write(typeof piece === 'string' ? Buffer.from(piece, encoding) : bytesOf(piece, 'data'))
    }
  } catch (error) {
    await writer.close().catch(() => {}) // a stream that has failed has nothing more to say than that it is closed
    throw error
  }
  await writer.close()
}

/** All of a stream. */
export async function contentOf(chunks: AsyncIterable<Uint8Array>, encoding: BufferEncoding | null): Promise<Buffer | string> {
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
  const whole = all.length === 1 ? all[0] : Buffer.concat(all)
  return encoding === null ? whole : whole.toString(encoding) // not before: a chunk may end in the middle of a character
}
