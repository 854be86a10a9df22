import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream, ops, Ring } from '../../lib/index.js'
import type { BufferOwnership } from '../../lib/index.js'
import { digestOf, iteratedDigestOf, makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const chunkSize = 4096
const chunks = 4000
/** That one turn of the event loop may take. */
const chunksPerTurnMax = 64

/** Counts the turns of the event loop, and the timers that fire, until `stop`. */
function counted(): { turns: number, timers: number, stop(): void } {
  let immediate: NodeJS.Immediate
  let timer: NodeJS.Timeout
  const counts = { turns: 0, timers: 0, stop: () => { clearImmediate(immediate); clearTimeout(timer) } }
  const everyTurn = (): void => { counts.turns++; immediate = setImmediate(everyTurn) }
  const everyTimer = (): void => { counts.timers++; timer = setTimeout(everyTimer, 0) }
  everyTurn()
  everyTimer()
  return counts
}

for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
  for (const [how, digest] of [['data', digestOf], ['for await', iteratedDigestOf]] as const) {
    ringTest(`immediates and timers run while a cached file is read (${buffers}, ${how})`, async t => {
      const source = makeFile(join(t.testdir(), 'source'), chunks * chunkSize)
      readFileSync(source.path)
      const counts = counted()
      t.equal(await digest(createUringReadStream(source.path, { chunkSize, buffers })), source.sha256)
      counts.stop()
      t.ok(counts.turns >= chunks / chunksPerTurnMax, `${counts.turns} turns for ${chunks} chunks`)
      t.ok(counts.timers > 1, `timers fired ${counts.timers} times`)
    })
  }
}

ringTest('immediates and timers run while a cached file is copied', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), chunks * chunkSize)
  const counts = counted()
  const writer = createUringWriteStream(join(directory, 'target'), { chunkSize })
  createUringReadStream(source.path, { chunkSize }).pipe(writer)
  t.equal(await closing(writer), undefined)
  counts.stop()
  t.equal(sha256(readFileSync(join(directory, 'target'))), source.sha256)
  t.ok(counts.turns >= chunks / chunksPerTurnMax, `${counts.turns} turns for ${chunks} chunks`)
  t.ok(counts.timers > 1, `timers fired ${counts.timers} times`)
})

ringTest('operations that each submit the next one let the event loop turn', async t => {
  const enough = 10_000_000
  const counts = counted()
  let ended = 0
  const chain = async (): Promise<void> => {
    while (ended < enough && (counts.turns < 10 || counts.timers < 5)) {
      await Ring.shared().submit(ops.nop())
      ended++
    }
  }
  await Promise.all(Array.from({ length: 8 }, chain))
  counts.stop()
  t.ok(counts.turns >= 10, `${counts.turns} turns for ${ended} operations, 8 at a time`)
  t.ok(counts.timers >= 5, `timers fired ${counts.timers} times`)
})

ringTest('a stream of a large file does not keep another from its end', async t => {
  const directory = t.testdir()
  const [large, small] = [makeFile(join(directory, 'large'), chunks * chunkSize), makeFile(join(directory, 'small'), 10 * chunkSize)]
  const order: string[] = []
  const digests = await Promise.all([
    digestOf(createUringReadStream(large.path, { chunkSize, readAhead: 64 })).then(digest => { order.push('large'); return digest }),
    digestOf(createUringReadStream(small.path, { chunkSize, readAhead: 1 })).then(digest => { order.push('small'); return digest })
  ])
  t.same(digests, [large.sha256, small.sha256])
  t.same(order, ['small', 'large'])
})
