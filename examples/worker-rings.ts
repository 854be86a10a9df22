/** The sum of a file's bytes, by workers with a ring each: node worker-rings.js FILE [WORKERS] */
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { createUringReadStream } from '../lib/index.js'

interface Part { path: string, start: number, end: number }

/** In a worker: `Ring.shared()`, by which the stream reads, is this thread's own. */
async function sumOf({ path, start, end }: Part): Promise<number> {
  let sum = 0
  // Leased: each chunk is gone when the next is asked for, and no memory is allocated for it.
  for await (const chunk of createUringReadStream(path, { start, end: end - 1, buffers: 'leased' })) {
    for (const byte of chunk as Buffer) sum += byte
  }
  return sum
}

function inWorker(part: Part): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: part })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', code => reject(new Error(`a worker ended with code ${code} before it had a sum`)))
  })
}

async function main(path: string, workers: number): Promise<void> {
  const { size } = await stat(path)
  const border = (i: number): number => Math.floor(size * i / workers)
  const parts = Array.from({ length: workers }, (_, i) => ({ path, start: border(i), end: border(i + 1) }))
  const sums = await Promise.all(parts.filter(({ start, end }) => end > start).map(inWorker))
  console.log(`${sums.reduce((all, sum) => all + sum, 0)} is the sum of the ${size} bytes of ${path}, by ${sums.length} workers`)
}

if (isMainThread) {
  const [path, workers = String(availableParallelism())] = process.argv.slice(2)
  if (path === undefined) {
    console.error('usage: node worker-rings.js FILE [WORKERS]')
    process.exitCode = 2
  } else {
    await main(path, Number(workers))
  }
} else {
  parentPort!.postMessage(await sumOf(workerData as Part))
}
