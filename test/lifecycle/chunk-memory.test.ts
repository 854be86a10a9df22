/** Chunks that their consumer has dropped are collected before 32 MiB of them are there. */
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import type { PerformanceEntry } from 'node:perf_hooks'
import type { Test } from 'tap'
import { createUringReadableStream, createUringReadStream } from '../../lib/index.js'
import { ringTest } from '../helpers/ring-state.js'
import { turns } from '../helpers/stream-events.js'

const mebibyte = 1 << 20
/** @types/node 20 leave `detail` out. */
type GcEntry = PerformanceEntry & { detail: { kind: number } }

const fileBytes = 256 * mebibyte

/** The collections of young objects while `work` runs. */
async function scavengesDuring(work: () => Promise<number>): Promise<number> {
  let scavenges = 0
  const observer = new PerformanceObserver(list => {
    for (const { detail } of list.getEntries() as GcEntry[]) if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) scavenges++
  })
  observer.observe({ entryTypes: ['gc'] })
  if (await work() !== fileBytes) throw new Error('the file has another length')
  await turns(10) // each is told of in a turn of its own
  observer.disconnect()
  return scavenges
}

/** Large chunks, so that few other objects are there to be collected: V8 alone collects 8 or 9 times, and so 15 or 16. */
function collects(name: string, chunksOf: (path: string) => AsyncIterable<Uint8Array>): void {
  ringTest(`${name}: dead chunks are collected every 16 MiB`, async (t: Test) => {
    const path = join(t.testdir(), 'sparse')
    writeFileSync(path, '')
    truncateSync(path, fileBytes)
    const scavenges = await scavengesDuring(async () => {
      let bytes = 0
      for await (const chunk of chunksOf(path)) bytes += chunk.length
      return bytes
    })
    t.ok(scavenges > 12, `${scavenges} collections`)
  }, Number.parseInt(process.versions.v8) >= 13 && 'from Node 24 on V8 collects everything instead')
}

collects('Node stream', path => createUringReadStream(path, { chunkSize: mebibyte }))
collects('Web stream', path => createUringReadableStream(path, { chunkSize: mebibyte }))
