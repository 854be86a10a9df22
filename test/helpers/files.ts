import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { patterned, sha256 } from './seeded.js'
import { closing } from './stream-events.js'

export interface KnownFile {
  path: string
  content: Buffer
  sha256: string
}

/** Makes a file of bytes without a period. */
export function makeFile(path: string, length: number, seed = length + 1): KnownFile {
  const content = patterned(length, seed)
  writeFileSync(path, content)
  return { path, content, sha256: sha256(content) }
}

/** Its pages leave the page cache (POSIX_FADV_DONTNEED), dirty ones for the disk. */
export function forget(path: string): void {
  execFileSync('sync', [path])
  execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
}

/** Makes files of the given lengths in a directory. */
export function makeFiles(directory: string, lengths: readonly number[]): KnownFile[] {
  return lengths.map((length, i) => makeFile(join(directory, `file-${i}`), length, length + i + 1))
}

export function makeFifo(path: string): string {
  execFileSync('mkfifo', [path])
  return path
}

/** The sha256 of all that a stream gives by 'data'; waits for 'close' and throws what the stream emitted. */
export async function digestOf(stream: Readable): Promise<string> {
  const hash = createHash('sha256')
  stream.on('data', (chunk: Buffer) => { hash.update(chunk) })
  const failure = await closing(stream)
  if (failure !== undefined) throw failure
  return hash.digest('hex')
}

/** The same by iteration. */
export async function iteratedDigestOf(stream: Readable): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk as Buffer)
  if (!stream.closed) await closing(stream)
  return hash.digest('hex')
}
