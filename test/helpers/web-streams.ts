import type { ReadableStream } from 'node:stream/web'
import type { Test } from 'tap'
import { join } from 'node:path'
import { makeFile } from './files.js'
import type { KnownFile } from './files.js'

/** All the bytes of a Web stream, by iteration. */
export async function bytesOfStream(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The reason that a promise rejects with; undefined if it does not. */
export async function rejection(promise: Promise<unknown>): Promise<any> {
  try {
    await promise
  } catch (error) {
    return error
  }
  return undefined
}

/** Whether a promise has settled, and how. */
export function watch(promise: Promise<unknown>): { state: 'pending' | 'resolved' | 'rejected' } {
  const watched: { state: 'pending' | 'resolved' | 'rejected' } = { state: 'pending' }
  promise.then(() => { watched.state = 'resolved' }, () => { watched.state = 'rejected' })
  return watched
}

/** A directory with a file in it, and a path for another. */
export function fileAndTarget(t: Test, length: number): { file: KnownFile, target: string, directory: string } {
  const directory = t.testdir()
  return { directory, file: makeFile(join(directory, 'source'), length), target: join(directory, 'target') }
}
