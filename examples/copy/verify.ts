/** Reads a copy back. */
import { createHash } from 'node:crypto'
import { createUringReadStream } from '../../lib/index.js'

async function checksum(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createUringReadStream(path, { buffers: 'leased', signal })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** @throws where the two files differ */
export async function verify(source: string, target: string, signal: AbortSignal): Promise<void> {
  const [one, other] = await Promise.all([checksum(source, signal), checksum(target, signal)])
  if (one !== other) throw new Error(`'${target}' differs from '${source}'`)
}
