/** Looks into many small files, a batch for the opening of all and one for all that follows: node batch-open.js FILE... */
import type { Operation } from '../lib/index.js'
import { ops, Ring } from '../lib/index.js'

const filesAtOnce = 256
const headBytes = 4096
const ring = Ring.shared()

/** What is done with an open file: statx, then a read, then the close, which comes however the others end. */
interface Look { path: string, stat: ReturnType<typeof ops.statx>, head: Buffer, chain: Operation[] }

function look(path: string, fd: number): Look {
  const head = Buffer.alloc(headBytes)
  const stat = ops.statx(fd)
  return { path, stat, head, chain: [stat.hardlink(), ops.read(fd, head, 0).hardlink(), ops.close(fd)] }
}

function complain(path: string, what: string, errno: number): void {
  console.error(`${path}: ${what} failed (errno ${-errno})`)
  process.exitCode = 1
}

async function lookAt(paths: string[]): Promise<void> {
  const opened = await ring.batch(paths.map(path => ops.openat(path)))
  const looks: Look[] = []
  for (const [i, { result }] of opened.entries()) {
    if (result < 0) complain(paths[i], 'open', result)
    else looks.push(look(paths[i], result))
  }
  // One system call for three operations on each file.
  const completions = await ring.batch(looks.flatMap(({ chain }) => chain))
  for (const [i, { path, stat, head }] of looks.entries()) {
    const [seen, read, closed] = completions.slice(3 * i)
    if (seen.result < 0) complain(path, 'statx', seen.result)
    else if (read.result < 0) complain(path, 'read', read.result)
    else if (closed.result < 0) complain(path, 'close', closed.result)
    else console.log(`${path}: ${stat.stats.size} bytes, begins with ${head.toString('hex', 0, Math.min(read.result, 8)) || 'nothing'}`)
  }
}

const paths = process.argv.slice(2)
for (let i = 0; i < paths.length; i += filesAtOnce) await lookAt(paths.slice(i, i + filesAtOnce))
