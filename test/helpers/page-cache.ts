// What of a file is in the page cache, as tests see it.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { cachedBytes } from '../../lib/file-calls.js'
import { inspectFile, loadNative } from '../../lib/native.js'
import { forget } from './files.js'

/** Bytes of a part that are there; negative where nobody knows. */
export async function cached(path: string, start: number, length: number): Promise<number> {
  const fd = openSync(path, 'r')
  const bytes = await cachedBytes(fd, start, length)
  closeSync(fd)
  return bytes
}

/** Bytes that this process has had read from disks (proc_pid_io(5)). */
export function readFromDisks(): number {
  return Number(/^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))![1])
}

/** Takes a file out of the page cache. Gives the reason why that cannot be, or be known, or how it can be read past it; or false. */
export async function forgottenObstacle(path: string): Promise<string | false> {
  const addon = loadNative()
  if (addon instanceof Error) return 'there is no addon to look at the page cache'
  const fd = openSync(path, 'r')
  const facts = inspectFile(addon, fd)
  closeSync(fd)
  if (typeof facts === 'number' || facts.directAlignment <= 0) return 'this file system does not tell how direct reads are aligned'
  forget(path)
  const bytes = await cached(path, 0, 1 << 30)
  return bytes < 0 ? 'this kernel does not tell what is cached' : bytes > 0 && 'this file system keeps its pages'
}
