// How Web streams are driven: the same code for ours and for the peers.
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import type { ReadableStream } from 'node:stream/web'
import type { OnChunk } from './streams.js'

/** Reads by a default reader. */
export async function byReader(stream: ReadableStream<Uint8Array>, onChunk: OnChunk): Promise<void> {
  const reader = stream.getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    onChunk(value as Buffer)
  }
}

/** Reads by a BYOB reader, with views of the same memory. */
export async function byViews(stream: ReadableStream<Uint8Array>, view: Uint8Array, onChunk: OnChunk): Promise<void> {
  const reader = stream.getReader({ mode: 'byob' })
  const { byteOffset, byteLength } = view
  for (let next = view; ;) {
    const { value, done } = await reader.read(next)
    if (done) return
    onChunk(value as Buffer)
    next = new Uint8Array(value.buffer, byteOffset, byteLength)
  }
}

/** The Web stream of a FileHandle, which must be closed afterwards. */
export async function withHandle(path: string, use: (stream: ReadableStream<Uint8Array>) => Promise<unknown>): Promise<void> {
  const handle: FileHandle = await open(path)
  try {
    // Bytes: without it the chunks are ArrayBuffers, which stream.Writable does not take.
    await use(handle.readableWebStream({ type: 'bytes' }) as ReadableStream<Uint8Array>)
  } finally {
    await handle.close()
  }
}
