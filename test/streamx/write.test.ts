import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pipelinePromise, Readable, Writable } from 'streamx'
import { open, Ring } from '../../lib/index.js'
import { createUringReadStream, createUringWriteStream, UringWriteStream } from '../../lib/streamx.js'
import { makeFifo } from '../helpers/files.js'
import { notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'
import { fileAndTarget } from '../helpers/web-streams.js'

function closing(stream: UringWriteStream): Promise<any> {
  let failure: unknown
  stream.on('error', error => { failure = error })
  return new Promise(resolve => stream.on('close', () => resolve(failure)))
}

ringTest('it is a streamx Writable whose chunks are the file', async t => {
  const { file, target } = fileAndTarget(t, 3_000_000)
  const random = seededFor(t)
  const stream = createUringWriteStream(target)
  t.ok(stream instanceof UringWriteStream && stream instanceof Writable)
  for (let at = 0; at < file.content.length;) {
    const size = random.pick([10, 5000, 200_000, 1_500_000])
    const more = stream.write(file.content.subarray(at, at + size))
    if (!more && random.chance()) await Writable.drained(stream)
    at += size
  }
  const closed = closing(stream)
  stream.end(null)
  t.equal(await closed, undefined)
  t.equal(sha256(readFileSync(target)), file.sha256)
  t.equal(stream.bytesWritten, 3_000_000)
})

ringTest('a chunk is its owner\'s again when drained resolves', async t => {
  const { target } = fileAndTarget(t, 1)
  const content = patterned(2_000_000, 3)
  const stream = createUringWriteStream(target, { chunkSize: 50_000 })
  const memory = new Uint8Array(100_000)
  for (let at = 0; at < content.length; at += memory.length) {
    memory.set(content.subarray(at, at + memory.length))
    stream.write(memory)
    t.equal(await Writable.drained(stream), true)
    memory.fill(0)
  }
  const closed = closing(stream)
  stream.end(null)
  await closed
  t.equal(sha256(readFileSync(target)), sha256(content))
})

for (const buffers of ['owned', 'leased'] as const) {
  ringTest(`a pipe from our reader copies a file (${buffers})`, async t => {
    const { file, target } = fileAndTarget(t, 100 * 65_536 - 9)
    await withRing(t, {}, async ring => {
      const reader = createUringReadStream(file.path, { ring, chunkSize: 65_536, buffers })
      const writer = createUringWriteStream(target, { ring, chunkSize: 65_536 })
      await pipelinePromise(reader, writer)
      t.equal(sha256(readFileSync(target)), file.sha256)
      await until(() => ring.stats().filesInUse === 0)
    })
  })

  ringTest(`destroying either end of a pipe gives every buffer back (${buffers})`, async t => {
    const { file, target } = fileAndTarget(t, 2_000_000)
    const random = seededFor(t)
    for (let round = 0; round < 40; round++) {
      const reader = createUringReadStream(file.path, { chunkSize: 20_000, buffers })
      const writer = createUringWriteStream(target, { chunkSize: 20_000 })
      const closed = Promise.all([closing(writer), new Promise(resolve => reader.on('error', () => {}).on('close', () => resolve(null)))])
      reader.pipe(writer, () => {})
      await turns(random.between(0, 12))
      random.pick([reader, writer]).destroy()
      await closed
      t.match(Ring.shared().stats(), { inFlight: 0, filesInUse: 0, buffersInUse: 0 })
    }
  })
}

ringTest('other streams of streamx are piped into it', async t => {
  const { file, target } = fileAndTarget(t, 500_000)
  const parts: Buffer[] = []
  for (let at = 0; at < file.content.length; at += 7000) parts.push(file.content.subarray(at, at + 7000))
  await pipelinePromise(Readable.from(parts), createUringWriteStream(target))
  t.equal(sha256(readFileSync(target)), file.sha256)
  await turns(2)
})

ringTest('errors come in Node\'s shape', async t => {
  const missing = createUringWriteStream(join(t.testdir(), 'missing', 'file'))
  const opened = closing(missing)
  missing.write('x')
  t.match(await opened, { code: 'ENOENT', syscall: 'open' })
  const full = createUringWriteStream('/dev/full')
  const written = closing(full)
  full.write('x')
  full.end(null)
  t.match(await written, { code: 'ENOSPC', syscall: 'write' })
  const wrong = createUringWriteStream('/dev/null')
  const refused = closing(wrong)
  wrong.write(5)
  t.match(await refused, { code: 'ERR_INVALID_ARG_TYPE' })
})

ringTest('destroy ends a write that waits', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const holder = await open(fifo, 'r+')
  const stream = createUringWriteStream(fifo)
  const closed = closing(stream)
  stream.write(new Uint8Array(1_000_000))
  await until(() => Ring.shared().stats().inFlight === 1)
  await turns(5)
  const reason = new Error('mine')
  stream.destroy(reason)
  t.equal(await closed, reason)
  await holder.close()
}, notUring)

ringTest('destroy before the file is open closes it', async t => {
  const { target } = fileAndTarget(t, 1)
  for (const waits of [0, 1]) {
    const stream = createUringWriteStream(target)
    const closed = closing(stream)
    await turns(waits)
    stream.destroy()
    t.equal(await closed, undefined)
  }
})
