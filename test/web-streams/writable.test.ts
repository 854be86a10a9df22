import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { WritableStream } from 'node:stream/web'
import { createUringReadStream, createUringWritableStream, open, Ring, UringWritableStream } from '../../lib/index.js'
import type { WritableStreamOptions } from '../../lib/index.js'
import { ringTest, usage, withRing } from '../helpers/ring-state.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { thrown, turns, until } from '../helpers/stream-events.js'
import { fileAndTarget, rejection, watch } from '../helpers/web-streams.js'

ringTest('it is a WritableStream whose chunks are the file when close resolves', async t => {
  const { file, target } = fileAndTarget(t, 3_000_000)
  const stream = createUringWritableStream(target)
  t.ok(stream instanceof UringWritableStream && stream instanceof WritableStream && stream instanceof globalThis.WritableStream)
  t.equal(stream.path, target)
  const writer = stream.getWriter()
  for (let at = 0; at < file.content.length; at += 100_000) await writer.write(file.content.subarray(at, at + 100_000))
  await writer.close()
  t.equal(await writer.closed, undefined)
  t.equal(stream.bytesWritten, 3_000_000)
  t.equal(sha256(readFileSync(target)), file.sha256)
  t.match(usage(Ring.shared()), { filesInUse: 0, buffersInUse: 0 }, 'the file is closed when close resolves')
})

ringTest('chunks of any sizes, awaited or not, are written in order', async t => {
  const { file, target } = fileAndTarget(t, 5_000_000)
  const random = seededFor(t)
  for (let round = 0; round < 8; round++) {
    const options: WritableStreamOptions = { chunkSize: random.pick([1000, 65_536, 1 << 20]), writeBehind: random.pick([1, 4]) }
    const writer = createUringWritableStream(target, options).getWriter()
    for (let at = 0; at < file.content.length;) {
      const size = random.pick([1, 100, 20_000, 300_000, 3_000_000]) + random.between(0, 100)
      const write = writer.write(file.content.subarray(at, at + size))
      if (random.chance()) await write
      at += size
    }
    await writer.close()
    t.equal(sha256(readFileSync(target)), file.sha256, JSON.stringify(options))
  }
})

ringTest('everything that holds bytes is a chunk, and a string is UTF-8', async t => {
  const { target } = fileAndTarget(t, 1)
  const bytes = patterned(160)
  const whole = new Uint8Array(bytes).buffer
  const shared = new Uint8Array(new SharedArrayBuffer(16))
  shared.set(bytes.subarray(144))
  const writer = createUringWritableStream(target).getWriter()
  void writer.write(whole.slice(0, 16))
  void writer.write(new DataView(whole, 16, 16))
  void writer.write(new Float64Array(whole, 32, 2))
  void writer.write(new BigInt64Array(whole, 48, 2))
  void writer.write(new Uint16Array(whole, 64, 8))
  void writer.write(new Uint8Array(whole, 80, 0))
  void writer.write(bytes.subarray(80, 144))
  void writer.write(shared.buffer)
  void writer.write('grüße €')
  await writer.close()
  t.same(readFileSync(target), Buffer.concat([bytes, Buffer.from('grüße €')]))
})

for (const chunk of [null, undefined, 5, {}, ['x'], Symbol('x')]) {
  ringTest(`${String(chunk)} is no chunk: the stream errors and its file is closed`, async t => {
    const { target } = fileAndTarget(t, 1)
    const writer = createUringWritableStream(target).getWriter()
    const before = writer.write('before')
    const bad = rejection(writer.write(chunk as any))
    const after = rejection(writer.write('after'))
    await before
    t.match(await bad, { code: 'ERR_INVALID_ARG_TYPE' })
    t.match(await after, { code: 'ERR_INVALID_ARG_TYPE' })
    t.match(await rejection(writer.closed), { code: 'ERR_INVALID_ARG_TYPE' })
    t.match(usage(Ring.shared()), { filesInUse: 0 })
  })
}

ringTest('a chunk may be changed or given away as soon as its write has resolved', async t => {
  const { target } = fileAndTarget(t, 1)
  const random = seededFor(t)
  const content = patterned(8_000_000, 7)
  const writer = createUringWritableStream(target, { chunkSize: 100_000 }).getWriter()
  for (let at = 0; at < content.length;) {
    const size = random.pick([10, 5000, 100_000, 1_000_000])
    const chunk = new Uint8Array(content.subarray(at, at + size))
    await writer.write(chunk)
    if (random.chance()) chunk.fill(0)
    else structuredClone(chunk.buffer, { transfer: [chunk.buffer] })
    at += size
  }
  await writer.close()
  t.equal(sha256(readFileSync(target)), sha256(content))
})

ringTest('a chunk that is given away before it was written is an error and not a hole', async t => {
  const { target } = fileAndTarget(t, 1)
  for (const size of [1000, 6_000_000]) { // one that is written at once, and one that must wait for room
    const writer = createUringWritableStream(target, { chunkSize: 64_000, writeBehind: 2 }).getWriter()
    await writer.write('head')
    const chunk = new Uint8Array(size)
    const blocked = size > 1000 ? undefined : writer.write(new Uint8Array(1_000_000).fill(104))
    const write = writer.write(chunk)
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] })
    await blocked
    t.match(await rejection(write), { code: 'ERR_INVALID_STATE' })
    t.match(await rejection(writer.closed), { code: 'ERR_INVALID_STATE' })
    const written = readFileSync(target)
    t.equal(written.subarray(4).filter(byte => byte !== 104 && byte !== 0).length, 0, 'no other memory was written')
  }
})

ringTest('the window takes several writes at once and no more than it holds', async t => {
  const { target } = fileAndTarget(t, 1)
  await withRing(t, {}, async ring => {
    const writer = createUringWritableStream(target, { ring, chunkSize: 64 << 10, writeBehind: 3 }).getWriter()
    let most = 0
    for (let i = 0; i < 200; i++) {
      await writer.write(new Uint8Array(64 << 10))
      most = Math.max(most, ring.stats().buffersInUse)
    }
    await writer.close()
    t.ok(most > 1 && most <= 3 + 2, `at most ${most} buffers`)
    t.equal(statSync(target).size, 200 * (64 << 10))
  })
}, Ring.shared().stats().engine !== 'uring' && 'threads count no buffers')

ringTest('small writes reach the file without a close', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  for (const text of ['one', 'two', 'three']) {
    await writer.write(text)
    await until(() => readFileSync(target).toString().endsWith(text))
  }
  await writer.close()
  t.equal(readFileSync(target).toString(), 'onetwothree')
})

ringTest('start writes at a place of a file that is there; append behind its end', async t => {
  const { file } = fileAndTarget(t, 1000)
  const inside = createUringWritableStream(file.path, { flags: 'r+', start: 100 }).getWriter()
  await inside.write('inside')
  await inside.close()
  const behind = createUringWritableStream(file.path, { flags: 'a' }).getWriter()
  for (let i = 0; i < 5; i++) void behind.write(`${i}`)
  await behind.close()
  const wanted = Buffer.concat([file.content, Buffer.from('01234')])
  wanted.write('inside', 100)
  t.ok(readFileSync(file.path).equals(wanted))
})

ringTest('mode is the mode of a new file, and flush syncs it', async t => {
  const { target } = fileAndTarget(t, 1)
  await withRing(t, {}, async ring => {
    const submitted = async (flush: boolean) => {
      const before = ring.stats().submitted
      const writer = createUringWritableStream(target, { ring, mode: 0o600, flush }).getWriter()
      await writer.write('x')
      await writer.close()
      return ring.stats().submitted - before
    }
    const [without, withSync] = [await submitted(false), await submitted(true)]
    t.equal(withSync - without, 1, 'one operation more')
    t.equal(statSync(target).mode & 0o777, 0o600)
  })
})

ringTest('a UringFile gives writable streams, from its position on; autoClose false leaves it open', async t => {
  const { target } = fileAndTarget(t, 1)
  const file = await open(target, 'w+')
  await file.write('head ')
  const first = file.writableStream({ autoClose: false }).getWriter()
  await first.write('first ')
  await first.close()
  await file.write('between ')
  const last = file.writableStream().getWriter()
  await last.write('last')
  await last.close()
  t.equal(file.fd, -1)
  t.equal(readFileSync(target).toString(), 'head first between last')
})

ringTest('UringFile has node streams as well', async t => {
  const { target } = fileAndTarget(t, 1)
  writeFileSync(target, 'abcdef')
  const file = await open(target)
  const parts: Buffer[] = []
  for await (const chunk of file.createReadStream({ start: 2 })) parts.push(chunk as Buffer)
  t.equal(Buffer.concat(parts).toString(), 'cdef')
})

ringTest('Writable.fromWeb writes through it, and Writable.toWeb of ours does too', async t => {
  const { file, target, directory } = fileAndTarget(t, 2_000_000)
  await pipeline(createUringReadStream(file.path), Writable.fromWeb(createUringWritableStream(target)))
  t.equal(sha256(readFileSync(target)), file.sha256)
  const second = join(directory, 'second')
  await Readable.toWeb(createUringReadStream(file.path)).pipeTo(createUringWritableStream(second) as any)
  t.equal(sha256(readFileSync(second)), file.sha256)
})

ringTest('desiredSize and ready tell of the chunk that is being written', async t => {
  const { target } = fileAndTarget(t, 1)
  const writer = createUringWritableStream(target).getWriter()
  t.equal(writer.desiredSize, 1)
  await writer.ready
  const writes = [writer.write('a'), writer.write('b')]
  t.equal(writer.desiredSize, -1)
  const ready = watch(writer.ready)
  await turns(0)
  t.equal(ready.state, 'pending')
  await Promise.all(writes)
  await writer.ready
  t.equal(writer.desiredSize, 1)
  await writer.close()
  t.equal(writer.desiredSize, 0)
})

for (const [what, options, code] of [
  ['a string', 'utf8', 'ERR_INVALID_ARG_TYPE'],
  ['a start that is no integer', { start: 1.5 }, 'ERR_OUT_OF_RANGE'],
  ['a flush that is no boolean', { flush: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ['a writeBehind of 0', { writeBehind: 0 }, 'ERR_OUT_OF_RANGE'],
  ['a signal that is none', { signal: {} }, 'ERR_INVALID_ARG_TYPE']
] as [string, any, string][]) {
  ringTest(`${what} is refused at once`, async t => {
    const { target } = fileAndTarget(t, 1)
    t.match(thrown(() => createUringWritableStream(target, options)), { code })
    t.equal(thrown(() => statSync(target))?.code, 'ENOENT', 'and no file is made')
  })
}
