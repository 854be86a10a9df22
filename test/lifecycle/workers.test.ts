import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { createUringReadStream, Ring } from '../../lib/index.js'
import { digestOf, makeFiles } from '../helpers/files.js'
import type { KnownFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { seededFor } from '../helpers/seeded.js'

const fixture = new URL('./fixtures/copying-worker.js', import.meta.url)
const workers = 8

interface Report {
  digests: [read: string, copied: string][]
  submittedBefore: number
  submitted: number
  completed: number
  usage: Record<string, number>
}

/** What a worker posts; its exit code must be 0. */
function lifeOf(t: Test, sources: KnownFile[], directory: string): Promise<Report> {
  mkdirSync(directory)
  const worker = new Worker(fixture, { workerData: { sources: sources.map(({ path }) => path), directory } })
  return new Promise((resolve, reject) => {
    let report: Report | undefined
    worker.on('message', (message: Report) => { report = message })
    worker.on('error', reject)
    worker.on('exit', code => {
      t.equal(code, 0, 'the worker ends by itself')
      if (report === undefined) reject(new Error('the worker has ended without a report'))
      else resolve(report)
    })
  })
}

ringTest(`${workers} workers at once read and copy files, each on a ring of its own`, async t => {
  const directory = t.testdir()
  const random = seededFor(t)
  const files = makeFiles(directory, Array.from({ length: 6 }, () => random.between(1, 600_000)))
  const before = Ring.shared().stats()
  // Each worker has more to do than the one before: counters that are shared would show.
  const given = Array.from({ length: workers }, (_, i) => Array.from({ length: 2 * (i + 1) }, (_, j) => files[j % files.length]))
  const reports = await Promise.all(given.map((sources, i) => lifeOf(t, sources, join(directory, `worker-${i}`))))

  t.same(reports.map(({ digests }) => digests), given.map(sources => sources.map(({ sha256 }) => [sha256, sha256])))
  for (const [i, { submittedBefore, submitted, completed, usage }] of reports.entries()) {
    t.equal(submittedBefore, 0, 'its ring is new')
    t.equal(completed, submitted, `worker ${i}: all of ${submitted} operations completed`)
    t.same(usage, { queued: 0, inFlight: 0, ready: 0, occupancy: 0, buffersInUse: 0, filesInUse: 0 })
  }
  t.ok(reports.every(({ submitted }, i) => i === 0 || submitted > reports[i - 1].submitted), 'who has more to do submits more')
  t.same(Ring.shared().stats(), before, 'this thread\'s ring has done nothing meanwhile')
})

ringTest('a thread streams on while workers come and go', async t => {
  const directory = t.testdir()
  const files = makeFiles(directory, [900_000, 30_000, 7])
  const lives = Array.from({ length: 4 }, (_, i) => lifeOf(t, files, join(directory, `worker-${i}`)))
  let running = true
  const all = Promise.all(lives).finally(() => { running = false })
  let rounds = 0
  for (; running; rounds++) {
    const digest = await digestOf(createUringReadStream(files[0].path, { chunkSize: 8192, buffers: 'leased' }))
    if (digest !== files[0].sha256) t.fail(`round ${rounds} read something else`)
  }
  t.ok(rounds > 0, `read ${rounds} times meanwhile`)
  for (const { digests } of await all) t.same(digests, files.map(({ sha256 }) => [sha256, sha256]))
})
