import { closeSync, constants, openSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream, ops, Ring } from '../../lib/index.js'
import { readFifo } from '../helpers/fifo.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const invalidState = { code: 'ERR_INVALID_STATE' }

ringTest('after close every submission is rejected', async t => {
  const ring = new Ring({ entries: 4 })
  await ring.submit(ops.nop())
  const closed = ring.close()
  await t.rejects(ring.submit(ops.nop()), invalidState, 'at once')
  await closed
  await t.rejects(ring.submit(ops.nop()), invalidState, 'later')
})

ringTest('a stream on a closed ring fails with an error event', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 1000)
  const ring = new Ring({ entries: 4 })
  await ring.close()
  const failure = await closing(createUringReadStream(source.path, { ring }))
  t.match(failure, invalidState)
})

ringTest('a closed ring still tells what it did', async t => {
  const ring = new Ring({ entries: 4 })
  await ring.submit(ops.nop())
  await ring.close()
  t.match(ring.stats(), { submitted: 1, completed: 1, inFlight: 0, queued: 0, buffersInUse: 0, filesInUse: 0 })
})

ringTest('a ring whose chunks another ring still writes stays until they are written', async t => {
  const content = patterned(512 << 10)
  const directory = t.testdir({ source: '' })
  const source = makeFile(join(directory, 'source'), content.length)
  // Nobody reads the FIFO yet: the writer keeps the chunks when the reader has long been closed.
  const fifo = makeFifo(join(directory, 'fifo'))
  const drain = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  const [from, to] = [new Ring({ entries: 8 }), new Ring({ entries: 8 })]
  const reader = createUringReadStream(source.path, { ring: from, buffers: 'leased', chunkSize: 128 << 10 })
  const writer = createUringWriteStream(fifo, { ring: to, highWaterMark: 1 << 20 })
  reader.pipe(writer)
  await closing(reader)
  const closed = from.close().catch((error: Error) => error)
  const written = closing(writer)
  t.equal(sha256(await readFifo(drain, content.length)), source.sha256)
  t.equal(await written, undefined)
  if (await closed !== undefined) await from.close()
  await to.close()
  closeSync(drain)
})
