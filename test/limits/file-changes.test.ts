// Files that change while they are read, at a moment that the test chooses: in a 'data' listener.
import { appendFileSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream } from '../../lib/index.js'
import type { BufferOwnership } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const chunkSize = 1000
const readAhead = 16
const length = 100 * chunkSize + 17

/** Reads a file; calls `change` in the listener of the chunk `at`, and of all up to `until`. */
async function readWhile(path: string, buffers: BufferOwnership, at: number, change: () => void, until = at): Promise<Buffer> {
  const stream = createUringReadStream(path, { chunkSize, readAhead, buffers })
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => {
    chunks.push(Buffer.from(chunk))
    if (chunks.length >= at && chunks.length <= until) change()
  })
  const failure = await closing(stream)
  if (failure !== undefined) throw failure
  return Buffer.concat(chunks)
}

for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
  for (const at of [1, 2, 40, 101]) {
    for (const left of [0, 1, 500, 20 * chunkSize, 60 * chunkSize + 1]) {
      ringTest(`a file cut to ${left} bytes at chunk ${at} ends there, or after what had been read ahead (${buffers})`, async t => {
        const source = makeFile(join(t.testdir(), 'source'), length)
        const read = await readWhile(source.path, buffers, at, () => truncateSync(source.path, left))
        t.ok(read.equals(source.content.subarray(0, read.length)), `${read.length} bytes, as they were in the file`)
        const taken = Math.min(at * chunkSize, length)
        t.ok(read.length >= Math.max(taken, Math.min(left, length)), 'nothing that stayed in the file is missing')
        t.ok(read.length <= Math.max(left, taken + (readAhead + 1) * chunkSize), 'and no more than a window beyond')
      })
    }
  }

  for (const [at, by] of [[1, 1], [1, 50_000], [40, 777], [80, 33_333]]) {
    ringTest(`a file that grows by ${by} bytes at chunk ${at} is read to its new end (${buffers})`, async t => {
      const source = makeFile(join(t.testdir(), 'source'), length)
      const more = patterned(by, 99)
      const read = await readWhile(source.path, buffers, at, () => appendFileSync(source.path, more))
      t.equal(read.length, length + by)
      t.equal(sha256(read), sha256(Buffer.concat([source.content, more])))
    })
  }

  // The look at whether the file ends goes along with the last chunk: what comes after it may be too late.
  ringTest(`a file that grows with the last chunks is read to the end that it had, or beyond (${buffers})`, async t => {
    for (const at of [99, 100, 101]) {
      const source = makeFile(join(t.testdir(), 'source'), length)
      const more = patterned(2500, 99)
      const read = await readWhile(source.path, buffers, at, () => appendFileSync(source.path, more))
      t.ok(read.length >= length, `${read.length - length} bytes beyond`)
      t.ok(read.equals(Buffer.concat([source.content, more]).subarray(0, read.length)))
    }
  })

  ringTest(`a file that grows at every chunk is read on (${buffers})`, async t => {
    const source = makeFile(join(t.testdir(), 'source'), length)
    const content = [source.content]
    const read = await readWhile(source.path, buffers, 1, () => {
      const more = patterned(600 + content.length, content.length)
      content.push(more)
      appendFileSync(source.path, more)
    }, 100)
    t.ok(read.length >= length + 50 * 600, `${read.length - length} bytes beyond`)
    t.ok(read.equals(Buffer.concat(content).subarray(0, read.length)))
  })

  ringTest(`'end' holds where a file grows beyond it (${buffers})`, async t => {
    const source = makeFile(join(t.testdir(), 'source'), 5000)
    const stream = createUringReadStream(source.path, { chunkSize, readAhead, buffers, end: 6999 })
    const read: Buffer[] = []
    const more = patterned(10_000, 5)
    stream.on('data', (chunk: Buffer) => {
      read.push(Buffer.from(chunk))
      if (read.length === 1) appendFileSync(source.path, more)
    })
    t.equal(await closing(stream), undefined)
    t.ok(Buffer.concat(read).equals(Buffer.concat([source.content, more]).subarray(0, 7000)))
  })
}
