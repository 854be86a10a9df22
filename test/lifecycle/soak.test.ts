// All kinds of streams at once on one small ring, each ended in one of many ways at any moment.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Test } from 'tap'
import {
  copyFile, createUringReadableStream, createUringReadStream, createUringWritableStream, createUringWriteStream, open
} from '../../lib/index.js'
import type { Ring, RingOptions } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import type { KnownFile } from '../helpers/files.js'
import { ringTest, withRing } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'
import type { Seeded } from '../helpers/seeded.js'
import { closing, turns } from '../helpers/stream-events.js'

const atOnce = 60
const rings: RingOptions[] = [{ entries: 1 }, { entries: 2 }, { entries: 4, cqEntries: 4 }, { entries: 16 }]

interface Work { random: Seeded, ring: Ring, source: KnownFile, target: string, signal: AbortSignal }

/** Each gives the bytes that it has seen, or that are in its target, and rejects when it was aborted. */
const kinds: ((work: Work) => Promise<Buffer>)[] = [
  async work => {
    const stream = reader(work)
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => {
      chunks.push(Buffer.from(chunk))
      if (work.random.between(0, 9) > 0) return
      stream.pause()
      setImmediate(() => stream.resume())
    })
    await ended(stream)
    return Buffer.concat(chunks)
  },
  async work => {
    const chunks: Buffer[] = []
    for await (const chunk of reader(work)) {
      chunks.push(Buffer.from(chunk))
      await turns(work.random.between(0, 2))
    }
    return Buffer.concat(chunks)
  },
  async work => {
    const { random, ring, target, signal } = work
    const writer = createUringWriteStream(target, { ring, signal, chunkSize: random.pick([4096, 100_000]), writeBehind: random.between(1, 8) })
    const stream = reader(work)
    stream.on('error', () => {}) // the writer has the same signal
    await ended(stream.pipe(writer))
    return readFileSync(target)
  },
  async ({ ring, source, target, signal }) => {
    await createUringReadableStream(source.path, { ring, chunkSize: 16_384 }).pipeTo(createUringWritableStream(target, { ring, atomic: true }), { signal })
    return readFileSync(target)
  },
  async ({ ring, source, target, signal }) => {
    await copyFile(source.path, target, { ring, signal, atomic: true })
    return readFileSync(target)
  },
  async ({ ring, source, signal }) => {
    await using file = await open(source.path, 'r', { ring })
    return await file.readFile({ signal })
  }
]

function reader({ random, ring, source, signal }: Work): Readable {
  return createUringReadStream(source.path, {
    ring, signal, chunkSize: random.pick([3000, 16_384, 300_000]), readAhead: random.between(1, 16),
    buffers: random.pick(['owned', 'leased']), direct: random.pick([false, false, 'prefer'])
  })
}

async function ended(stream: Parameters<typeof closing>[0]): Promise<void> {
  const failure = await closing(stream)
  if (failure !== undefined) throw failure
}

/** Runs one of them, and aborts half of them at any moment; tells whether it came to its end. */
async function run(t: Test, kind: number, work: Omit<Work, 'signal'>): Promise<boolean> {
  const { random, source, target } = work
  const controller = new AbortController()
  const aborts = random.chance() && turns(random.between(0, 40)).then(() => controller.abort())
  try {
    const seen = await kinds[kind]({ ...work, signal: controller.signal })
    if (!seen.equals(source.content)) t.fail(`kind ${kind} gave ${seen.length} bytes of ${source.content.length}, or others`)
    return true
  } catch (error) {
    if (!controller.signal.aborted || (error as Error).name !== 'AbortError') t.fail(`kind ${kind}: ${(error as Error).stack}`)
    const left = existsSync(target) ? readFileSync(target) : Buffer.alloc(0)
    if (!left.equals(source.content.subarray(0, left.length))) t.fail(`kind ${kind} left other bytes than the source's first`)
    return false
  } finally {
    await aborts
  }
}

for (const options of rings) {
  ringTest(`${atOnce} streams and copies at once on a ring of ${JSON.stringify(options)}, half of them aborted, end and leave nothing`, async t => {
    const directory = t.testdir({ targets: {} })
    const random = seededFor(t)
    const sources = [1, 16_384, 70_001, 500_000].map(length => makeFile(join(directory, `source-${length}`), length))
    await withRing(t, options, async ring => {
      const ends = await Promise.all(Array.from({ length: atOnce }, async (_, i) => {
        await turns(random.between(0, 20))
        return await run(t, i % kinds.length, { random, ring, source: random.pick(sources), target: join(directory, 'targets', `${i}`) })
      }))
      const whole = ends.filter(end => end).length
      t.ok(whole >= atOnce / 4 && whole < atOnce, `${whole} of ${atOnce} came to their end`)
      await ring['idle']() // an aborted pipe's file closes in its own time
    })
    t.same(readdirSync(join(directory, 'targets')).filter(name => !/^\d+$/.test(name)), [], 'no temporary file is left')
  })
}
