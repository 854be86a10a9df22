import type { Ring } from '../../lib/index.js'
import { createUringReadableStream, createUringReadStream } from '../../lib/index.js'
import * as streamx from '../../lib/streamx.js'
import { IOSQE_ASYNC, Opcode } from '../../lib/engine.js'
import { notUring, ringTest, slowReads, withRing } from '../helpers/ring-state.js'
import { readAll } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget } from '../helpers/web-streams.js'

async function iterated(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

for (const [how, read] of [
  ['data', (path, ring) => readAll(createUringReadStream(path, { ring, chunkSize: 4096 }))],
  ['for await', (path, ring) => iterated(createUringReadStream(path, { ring, chunkSize: 4096 }))],
  ['for await, leased', (path, ring) => iterated(createUringReadStream(path, { ring, chunkSize: 4096, buffers: 'leased' }))],
  ['a Web stream', (path, ring) => bytesOfStream(createUringReadableStream(path, { ring, chunkSize: 4096 }))],
  ['streamx', (path, ring) => iterated(streamx.createUringReadStream(path, { ring, chunkSize: 4096 }))]
] as [string, (path: string, ring: Ring) => Promise<Buffer>][]) {
  ringTest(`of a slow disk readAhead reads are in flight, even for one who asks when it has a chunk (${how})`, async t => {
    const { file } = fileAndTarget(t, 40 * 4096 + 7)
    await withRing(t, {}, async ring => {
      const most = slowReads(ring)
      t.ok((await read(file.path, ring)).equals(file.content))
      t.ok(most() >= 4 && most() <= 5, `${most()}: 4, and a look at whether the file ends`)
    })
  })
}

ringTest('for a consumer that keeps its thread busy, workers of the kernel read', async t => {
  const { file } = fileAndTarget(t, 60 * 65536)
  await withRing(t, {}, async ring => {
    const onWorkers: boolean[] = []
    const start = ring.engine.start.bind(ring.engine)
    ring.engine.start = request => {
      if (request.opcode === Opcode.read) onWorkers.push((request.flags & IOSQE_ASYNC) !== 0)
      start(request)
    }
    const stream = createUringReadStream(file.path, { ring, chunkSize: 65536 })
    // Five times as long for each byte as the hash of it would take.
    stream.on('data', chunk => { for (const until = performance.now() + chunk.length * 2.5e-6; performance.now() < until;); })
    t.ok((await readAll(stream)).equals(file.content))
    t.notOk(onWorkers[0], 'nobody is known to be busy at first')
    t.ok(onWorkers.at(-2), 'the last but the one that looks for the end')
  })
}, notUring)
