/** Random reads of 4 KiB: node random-read.js FILE [READS] [DEPTH] */
import { constants } from 'node:fs'
import { BufferPool, open, ops, Ring } from '../lib/index.js'

const blockBytes = 4096
const [path, reads = '100000', depth = '128'] = process.argv.slice(2)
if (path === undefined) {
  console.error('usage: node random-read.js FILE [READS] [DEPTH]')
  process.exit(2)
}

const ring = Ring.shared()
// O_DIRECT: from the disk, past the page cache. Without it this shows what a read from memory costs.
const file = await open(path, constants.O_RDONLY | constants.O_DIRECT)
const pool = new BufferPool(ring, { bufferSize: blockBytes, count: Number(depth) })
const blocks = Math.floor((await file.stat()).size / blockBytes)
if (blocks === 0) throw new RangeError(`${path} has no block of ${blockBytes} bytes`)

let left = Number(reads)
let bytes = 0

/** One of so many loops as reads are to be in flight; each has its own buffer. */
async function loop(): Promise<void> {
  const buffer = await pool.acquire()
  try {
    while (left-- > 0) {
      const position = Math.floor(Math.random() * blocks) * blockBytes
      const { result } = await ring.submit(ops.readFixed(file.fd, buffer, position))
      bytes += result // what was read is in buffer.bytes until the next read
    }
  } finally {
    buffer.release()
  }
}

const start = performance.now()
try {
  await Promise.all(Array.from({ length: Number(depth) }, loop))
} finally {
  pool.close()
  await file.close()
}
const seconds = (performance.now() - start) / 1000
console.log(`${reads} reads, ${bytes} bytes, ${depth} in flight: ${Math.round(Number(reads) / seconds)} reads per second`)
