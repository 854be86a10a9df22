/** Reads a copy back: from the disk where the file system has direct IO, else from the page cache. */
import { createHash } from 'node:crypto'
import { createUringReadStream, open } from '../../lib/index.js'
import type { Path } from './tree.js'

/** Many files may be verified at once: of the default, 1 MiB, all their chunks would be a lot of memory. */
const chunkSize = 256 * 1024

async function checksum(path: Path, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  // Not with the signal: each stream would listen to it, and Node.js warns above ten.
  for await (const chunk of createUringReadStream(path, { direct: 'prefer', chunkSize, buffers: 'leased' })) {
    signal.throwIfAborted()
    hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}

async function sync(path: Path): Promise<void> {
  const file = await open(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** @throws where the two files differ */
export async function verify(source: Path, target: Path, signal: AbortSignal): Promise<void> {
  await sync(target)
  const [one, other] = await Promise.all([checksum(source, signal), checksum(target, signal)])
  if (one !== other) throw new Error(`'${target.toString()}' differs from '${source.toString()}'`)
}
