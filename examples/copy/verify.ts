/** Reads copies back: from the disk where the file system has direct IO, else from the page cache. */
import { createHash } from 'node:crypto'
import { createUringReadStream, open } from '../../lib/index.js'
import { failure } from './failure.js'
import type { Path } from './places.js'

/** Many files may be verified at once: of the default, 1 MiB, all their chunks would be a lot of memory. */
const chunkSize = 256 * 1024
/** Each waits for the disk most of its time. */
const filesAtOnce = 16

export interface Pair {
  source: Path
  target: Path
  /** How many are compared, where the target has more of its own; default: all. */
  bytes?: number
}

/** What goes on, and how far it has come. */
export interface Stage {
  /** Null while files are copied. */
  phase: string | null
  /** When it began, by performance.now(). */
  began: number
  bytes: number
  /** Null if nobody knows how many bytes there will be. */
  total: number | null
}

/**
 * Syncs the targets and compares them with their sources.
 * @param stage has the bytes that were copied, and is set to what goes on
 * @throws where two files differ
 */
export async function verify(pairs: readonly Pair[], signal: AbortSignal, stage: Stage): Promise<void> {
  const total = stage.bytes
  const passed = (bytes: number): void => { stage.bytes += bytes }
  const begin = (phase: string): void => { Object.assign(stage, { phase, began: performance.now(), bytes: 0, total }) }
  begin('syncing')
  await each(pairs, signal, async ({ target }) => passed(await sync(target)))
  begin('verifying')
  await each(pairs, signal, (pair, stop) => compare(pair, stop, passed))
}

/** Some of them at once. One that fails stops the others, and is told when nothing goes on any more. */
async function each(pairs: readonly Pair[], signal: AbortSignal, work: (pair: Pair, stop: AbortSignal) => Promise<void>): Promise<void> {
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const rest = pairs.values()
  const run = async (): Promise<void> => {
    for (const pair of rest) {
      stop.throwIfAborted()
      await work(pair, stop)
    }
  }
  const fail = (error: unknown): void => failed.abort(error)
  await Promise.all(Array.from({ length: Math.min(filesAtOnce, pairs.length) }, () => run().catch(fail)))
  stop.throwIfAborted()
}

/** Gives the file's size. */
async function sync(path: Path): Promise<number> {
  const file = await open(path)
  try {
    await file.sync()
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

/** What is read to be compared must be there again: a pipe's bytes are gone, and a terminal would wait for more. @throws for those */
export function refuseUnverifiable(path: Path, stats: { isFile(): boolean, isBlockDevice(): boolean } | null): void {
  if (stats === null || stats.isFile() || stats.isBlockDevice()) return
  throw new Error(`--verify reads everything twice, which '${path.toString()}' does not allow`)
}

async function compare({ source, target, bytes }: Pair, stop: AbortSignal, passed: (bytes: number) => void): Promise<void> {
  const read = [0, 0]
  // What both of them have been read of.
  const reading = (which: number) => (bytes: number): void => {
    const before = Math.min(...read)
    read[which] += bytes
    passed(Math.min(...read) - before)
  }
  const sums = [source, target].map((path, which) => checksum(path, bytes, stop, reading(which)))
  await Promise.allSettled(sums) // a failure is told when the other file is closed as well
  const [one, other] = await Promise.all(sums)
  if (one !== other) throw failure('ERR_DIFFERENT', `'${target.toString()}' differs from '${source.toString()}'`)
}

async function checksum(path: Path, bytes = Infinity, stop: AbortSignal, passed: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  if (bytes === 0) return hash.digest('hex')
  // Not with the signal: each stream would listen to it, and Node.js warns above ten.
  for await (const chunk of createUringReadStream(path, { end: bytes - 1, direct: 'prefer', chunkSize, buffers: 'leased' })) {
    stop.throwIfAborted()
    const { length } = chunk as Buffer
    hash.update(chunk as Buffer)
    passed(length)
  }
  return hash.digest('hex')
}
