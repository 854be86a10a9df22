import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream, Ring } from '../../lib/index.js'
import type { BufferOwnership, UringReadStream } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { patience } from '../helpers/patience.js'
import { assertUnused, notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { seededFor, sha256 } from '../helpers/seeded.js'
import { closing, next, turns } from '../helpers/stream-events.js'

const chunkSize = 64 << 10
const chunks = 100

function source(t: Test): { directory: string, file: ReturnType<typeof makeFile>, target: string } {
  const directory = t.testdir()
  return { directory, file: makeFile(join(directory, 'source'), chunks * chunkSize - 1234), target: join(directory, 'target') }
}

/** Keeps chunks, to look at later whether they are still what they were. */
function keep(stream: UringReadStream): () => Buffer {
  const kept: Buffer[] = []
  stream.on('data', (chunk: Buffer) => { kept.push(chunk) })
  return () => Buffer.concat(kept)
}

for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
  ringTest(`pipe hands over without copying: two operations and one buffer for each chunk (${buffers})`, async t => {
    const { file, target } = source(t)
    await withRing(t, {}, async ring => {
      const reader = createUringReadStream(file.path, { ring, chunkSize, buffers })
      const writer = createUringWriteStream(target, { ring, chunkSize })
      let buffersMost = 0
      writer.on('drain', () => { buffersMost = Math.max(buffersMost, ring.stats().buffersInUse) })
      reader.pipe(writer)
      await closing(writer)
      t.equal(sha256(readFileSync(target)), file.sha256)
      const { submitted } = ring.stats()
      t.ok(submitted >= 2 * chunks && submitted <= 2 * chunks + 20, `${submitted} operations for ${chunks} chunks`)
      t.ok(buffersMost > 0, `at most ${buffersMost} buffers in use`)
    })
  }, notUring)
}

ringTest('what another listener keeps of a piped stream stays as it was', async t => {
  const { file, target } = source(t)
  for (const order of ['before', 'after']) {
    const reader = createUringReadStream(file.path, { chunkSize })
    const writer = createUringWriteStream(target, { chunkSize })
    const kept = order === 'before' ? keep(reader) : undefined
    reader.pipe(writer)
    const keptLater = kept ?? keep(reader)
    await closing(writer)
    t.equal(sha256(readFileSync(target)), file.sha256, `the target, with the listener added ${order} pipe`)
    t.equal(sha256(keptLater()), file.sha256, `the chunks kept by a listener added ${order} pipe`)
  }
})

ringTest('what a listener keeps that comes at any moment of a pipe stays as it was', async t => {
  const { file, target } = source(t)
  const random = seededFor(t)
  for (let round = 0; round < 100 / patience; round++) {
    const reader = createUringReadStream(file.path, { chunkSize: 16_384 })
    const writer = createUringWriteStream(target, { chunkSize: 16_384, highWaterMark: random.pick([1, 16_384, 100_000]) })
    reader.pipe(writer)
    const closed = closing(writer)
    await turns(random.between(0, 20))
    for (let ticks = random.between(0, 3); ticks > 0; ticks--) await new Promise(process.nextTick)
    const bytesBefore = reader.bytesRead - reader.readableLength
    const kept = keep(reader)
    await closed
    const tail = kept()
    const exact = tail.equals(file.content.subarray(file.content.length - tail.length))
    if (!exact) t.fail(`round ${round}: what was kept after ${bytesBefore} bytes has changed or is missing`)
    if (sha256(readFileSync(target)) !== file.sha256) t.fail(`round ${round}: the target differs`)
  }
})

ringTest('after unpipe a listener\'s chunks are its own', async t => {
  const { file, target } = source(t)
  const reader = createUringReadStream(file.path, { chunkSize })
  const writer = createUringWriteStream(target, { chunkSize, writeBehind: 1 }) // each write waits for 'drain'
  const closed = closing(writer)
  reader.pipe(writer)
  await next(writer, 'drain')
  reader.unpipe(writer)
  await new Promise<void>(resolve => { writer.end(resolve) })
  await closed
  const head = readFileSync(target)
  const kept = keep(reader)
  reader.resume()
  await closing(reader)
  t.ok(head.length > 0 && head.length < file.content.length, `${head.length} bytes went to the target`)
  t.equal(sha256(Buffer.concat([head, kept()])), file.sha256, 'target and kept chunks together are the source')
})

ringTest('two writers of one reader both get everything', async t => {
  const { directory, file } = source(t)
  for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
    const reader = createUringReadStream(file.path, { chunkSize, buffers })
    const targets = ['one', 'two'].map(name => join(directory, name))
    const writers = targets.map(target => createUringWriteStream(target, { chunkSize }))
    const closed = Promise.all(writers.map(closing))
    for (const writer of writers) reader.pipe(writer)
    await closed
    t.same(targets.map(target => sha256(readFileSync(target))), [file.sha256, file.sha256], buffers)
  }
})

ringTest('a leased reader on one ring and a writer on another copy a file', async t => {
  const { file, target } = source(t)
  await withRing(t, { entries: 8 }, from => withRing(t, { entries: 8 }, async to => {
    const reader = createUringReadStream(file.path, { ring: from, chunkSize, buffers: 'leased' })
    const writer = createUringWriteStream(target, { ring: to, chunkSize })
    reader.pipe(writer)
    await closing(writer)
    t.equal(sha256(readFileSync(target)), file.sha256)
  }))
})

ringTest('a part without bytes of a leased chunk is written like any other', async t => {
  const { file, target } = source(t)
  const writer = createUringWriteStream(target)
  const told: unknown[] = []
  for await (const chunk of createUringReadStream(file.path, { chunkSize, buffers: 'leased' })) {
    writer.write(chunk)
    writer.write(chunk.subarray(chunk.length), error => told.push(error))
  }
  writer.end()
  t.equal(await closing(writer), undefined)
  t.equal(sha256(readFileSync(target)), file.sha256)
  t.ok(told.length > 1 && told.every(error => error == null), `${told.length} callbacks`)
})

for (const which of ['reader', 'writer'] as const) {
  ringTest(`destroying the ${which} in the middle of a pipe gives every buffer back`, async t => {
    const { file, target } = source(t)
    const random = seededFor(t)
    for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
      for (let round = 0; round < 50 / patience; round++) {
        const reader = createUringReadStream(file.path, { chunkSize, buffers })
        const writer = createUringWriteStream(target, { chunkSize })
        const closed = [closing(reader), closing(writer)]
        reader.pipe(writer)
        const [first, second] = which === 'reader' ? [reader, writer] : [writer, reader]
        await turns(random.between(0, 12))
        first.destroy()
        await closed[which === 'reader' ? 0 : 1]
        await turns(random.between(0, 2))
        second.destroy()
        await Promise.all(closed)
      }
      assertUnused(t, Ring.shared(), `${buffers}: nothing is in use after 50 times`)
    }
  })
}

/** Ways to read the rest of a stream that is paused. */
const takers: Record<string, (stream: UringReadStream) => Promise<Buffer>> = {
  'for await': async stream => {
    const parts: Buffer[] = []
    for await (const chunk of stream) parts.push(Buffer.from(chunk))
    return Buffer.concat(parts)
  },
  "a listener of 'readable'": async stream => {
    const parts: Buffer[] = []
    stream.on('readable', () => {
      for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) parts.push(Buffer.from(chunk))
    })
    await next(stream, 'end')
    return Buffer.concat(parts)
  },
  'read()': async stream => {
    const parts: Buffer[] = []
    for (; !stream.readableEnded; await turns(1)) {
      const chunk = stream.read() as Buffer | null
      if (chunk !== null) parts.push(Buffer.from(chunk))
    }
    return Buffer.concat(parts)
  }
}

for (const [way, take] of Object.entries(takers)) {
  for (const buffers of ['owned', 'leased'] as BufferOwnership[]) {
    ringTest(`after unpipe ${way} reads the rest (${buffers})`, async t => {
      const { file, target } = source(t)
      for (const room of [1, 100]) { // the reader waits for the writer, or the writer for the reader
        const reader = createUringReadStream(file.path, { chunkSize, buffers })
        const writer = createUringWriteStream(target, { chunkSize, highWaterMark: room * chunkSize })
        reader.pipe(writer)
        if (room === 1) await next(reader, 'pause')
        reader.unpipe(writer)
        writer.end()
        await closing(writer)
        const rest = await take(reader)
        t.ok(Buffer.concat([readFileSync(target), rest]).equals(file.content))
        await closing(reader)
      }
    })
  }

  ringTest(`after pause ${way} reads the rest of a leased stream`, async t => {
    const { file } = source(t)
    const reader = createUringReadStream(file.path, { chunkSize, buffers: 'leased' })
    const first = await new Promise<Buffer>(resolve => {
      reader.on('data', function stop(chunk: Buffer) {
        reader.pause().off('data', stop)
        resolve(Buffer.from(chunk))
      })
    })
    await turns(3)
    t.ok(Buffer.concat([first, await take(reader)]).equals(file.content))
    await closing(reader)
  })
}
