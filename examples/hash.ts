// Prints the sha256 of files as sha256sum does: node hash.js FILE...
import { createHash } from 'node:crypto'
import { createUringReadStream } from '../lib/index.js'

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  // A leased chunk is valid until the next one is asked for: no memory is allocated for it.
  for await (const chunk of createUringReadStream(path, { buffers: 'leased' })) hash.update(chunk)
  return hash.digest('hex')
}

for (const path of process.argv.slice(2)) {
  try {
    console.log(`${await sha256(path)}  ${path}`)
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
