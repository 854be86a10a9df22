import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, next, turns, writeOne } from '../helpers/stream-events.js'

streamTest('the callback of a write comes when its bytes are in the file, and in the order of the writes', async t => {
  const random = seededFor(t)
  const file = join(t.testdir(), 'file')
  for (const highWaterMark of [10, 1000, 64 * 1024, 1 << 20]) {
    const stream = createUringWriteStream(file, { highWaterMark })
    const order: number[] = []
    const missing: number[] = []
    const wanted: number[] = []
    let written = Buffer.alloc(0)
    for (let i = 0; i < 60; i++) {
      const start = written.length
      const chunk = random.bytes(random.between(0, random.pick([10, 2000, 50_000])))
      written = Buffer.concat([written, chunk])
      wanted.push(i)
      stream.write(chunk, error => {
        order.push(i)
        const there = readFileSync(file).subarray(start, start + chunk.length)
        if (error || !there.equals(chunk)) missing.push(i)
      })
      if (i % 7 === 0) await turns(1)
    }
    await endAndClose(stream)
    t.same(order, wanted)
    t.same(missing, [], 'no callback came before its bytes')
    t.equal(sha256(readFileSync(file)), sha256(written))
  }
})

streamTest("after 'drain' the producer may use its buffer again", async t => {
  const file = join(t.testdir(), 'file')
  for (const [size, highWaterMark] of [[100_000, 16_384], [9 << 20, undefined], [3000, 1000]] as const) {
    const stream = createUringWriteStream(file, { highWaterMark })
    const buffer = Buffer.alloc(size)
    const blocks: Buffer[] = []
    for (let round = 1; round <= (size > 1e6 ? 3 : 8); round++) {
      patterned(size, round).copy(buffer)
      blocks.push(Buffer.from(buffer))
      t.equal(stream.write(buffer), false)
      await next(stream, 'drain')
      buffer.fill(0xee)
    }
    await endAndClose(stream)
    t.equal(sha256(readFileSync(file)), sha256(Buffer.concat(blocks)), `${size} bytes a write`)
  }
})

streamTest("after 'drain' all the buffers of the burst before it may be used again", async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { highWaterMark: 32 * 1024 })
  const pool = Array.from({ length: 16 }, () => Buffer.alloc(8 * 1024))
  const blocks: Buffer[] = []
  for (let round = 0; round < 20; round++) {
    let more = true
    pool.forEach((buffer, i) => {
      patterned(buffer.length, round * 100 + i + 1).copy(buffer)
      blocks.push(Buffer.from(buffer))
      more = stream.write(buffer)
    })
    t.equal(more, false)
    await next(stream, 'drain')
    for (const buffer of pool) buffer.fill(0xee)
  }
  await endAndClose(stream)
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat(blocks)))
})

streamTest('after its callback a buffer may be used again', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const buffer = Buffer.alloc(5000)
  const blocks: Buffer[] = []
  for (let round = 1; round <= 30; round++) {
    patterned(buffer.length, round).copy(buffer)
    blocks.push(Buffer.from(buffer))
    t.equal(await writeOne(stream, buffer), undefined)
    buffer.fill(0xee)
  }
  await endAndClose(stream)
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat(blocks)))
})

streamTest("at 'drain' half the high-water mark is free again, and bytesWritten are in the file", async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { highWaterMark: 1000 })
  for (let i = 1; i <= 10; i++) {
    for (let j = 0; j < 5; j++) stream.write(patterned(700, i))
    await next(stream, 'drain')
    t.ok(stream.writableLength <= 500, `${stream.writableLength} wait`)
    t.equal(stream.bytesWritten + stream.writableLength, i * 3500)
    t.ok(statSync(file).size >= stream.bytesWritten)
  }
  await endAndClose(stream)
  t.equal(statSync(file).size, 35_000)
})

streamTest('corked writes wait for uncork(), as often as cork() was called', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  await next(stream, 'ready')
  const called: string[] = []
  stream.cork()
  stream.cork()
  t.equal(stream.writableCorked, 2)
  for (const text of ['one ', 'two ', 'three']) stream.write(text, () => called.push(text))
  await turns(20)
  t.equal(readFileSync(file, 'utf8'), '')
  stream.uncork()
  await turns(20)
  t.equal(readFileSync(file, 'utf8'), '', 'one uncork() is not enough for two cork()')
  t.same(called, [])
  stream.uncork()
  t.equal(await writeOne(stream, '!'), undefined)
  t.same(called, ['one ', 'two ', 'three'])
  t.equal(readFileSync(file, 'utf8'), 'one two three!')
  stream.cork()
  stream.write(' end')
  await endAndClose(stream)
  t.equal(readFileSync(file, 'utf8'), 'one two three! end', 'end() uncorks')
})

streamTest('more corked chunks than one vectored write takes are written in order', async t => {
  const file = join(t.testdir(), 'file')
  for (const position of [undefined, 0]) {
    const stream = createUringWriteStream(file, { start: position })
    const content = patterned(50_000)
    stream.cork()
    let called = 0
    for (let at = 0; at < content.length; at += 10) stream.write(content.subarray(at, at + 10), () => called++)
    stream.uncork()
    await endAndClose(stream)
    t.equal(sha256(readFileSync(file)), sha256(content))
    t.equal(called, 5000)
  }
})

streamTest('an empty write has its callback in its turn, and changes nothing', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const order: string[] = []
  for (const text of ['a', '', 'b', '', '', 'c', '']) {
    stream.write(text, () => order.push(text))
    stream.write(Buffer.from(text), () => order.push(text.toUpperCase()))
  }
  await endAndClose(stream)
  t.same(order, ['a', 'A', '', '', 'b', 'B', '', '', '', '', 'c', 'C', '', ''])
  t.equal(readFileSync(file, 'utf8'), 'aabbcc')
  const alone = createUringWriteStream(file)
  t.equal(await writeOne(alone, ''), undefined)
  await endAndClose(alone)
  t.equal(readFileSync(file, 'utf8'), '')
})

streamTest('views of any kind are written: only the bytes they show', async t => {
  const file = join(t.testdir(), 'file')
  const memory = patterned(4096)
  const views: Uint8Array[] = [
    new Uint8Array(memory.buffer, memory.byteOffset + 3, 1001),
    memory.subarray(8, 9),
    new Uint8Array(0),
    Buffer.from(memory.buffer, memory.byteOffset + 100, 500),
  ]
  const stream = createUringWriteStream(file)
  for (const view of views) stream.write(view)
  await endAndClose(stream)
  t.ok(readFileSync(file).equals(Buffer.concat(views)))
  const wide = new Float64Array(memory.buffer, memory.byteOffset + 16, 20)
  const data = new DataView(memory.buffer, memory.byteOffset + 5, 77)
  const other = createUringWriteStream(file)
  other.write(wide)
  other.write(data)
  await endAndClose(other)
  t.ok(readFileSync(file).equals(Buffer.concat([memory.subarray(16, 176), memory.subarray(5, 82)])))
})

streamTest('one write much larger than the high-water mark is written whole', async t => {
  const content = patterned(9 * (1 << 20) + 1)
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { highWaterMark: 1000 })
  t.equal(await writeOne(stream, content), undefined)
  t.equal(sha256(readFileSync(file)), sha256(content))
  await endAndClose(stream)
  t.equal(stream.bytesWritten, content.length)
})

streamTest('write() takes an encoding and a callback', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  t.equal(await writeOne(stream, '4142', 'hex'), undefined)
  t.equal(readFileSync(file, 'latin1'), 'AB')
  t.equal(await writeOne(stream, 'ä', 'latin1'), undefined)
  t.equal(readFileSync(file, 'latin1'), 'ABä')
  await endAndClose(stream)
})

streamTest('a callback may write on, and end the stream', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  let count = 0
  const more = () => {
    if (++count > 50) stream.end('!')
    else stream.write(`${count} `, more)
  }
  more()
  t.equal(await closing(stream), undefined)
  t.equal(readFileSync(file, 'utf8'), `${Array.from({ length: 50 }, (_, i) => `${i + 1} `).join('')}!`)
})

streamTest('a callback is never called before write() has returned', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  const seen: string[] = []
  for (const chunk of ['', 'content']) {
    await new Promise<void>(resolve => {
      stream.write(chunk, () => {
        seen.push('callback')
        resolve()
      })
      seen.push('returned')
    })
  }
  t.same(seen, ['returned', 'callback', 'returned', 'callback'])
  await endAndClose(stream)
})

streamTest('a callback has the AsyncLocalStorage of its write, before the file is open and after', async t => {
  const storage = new AsyncLocalStorage<string>()
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  const write = (name: string, length: number): Promise<unknown> => storage.run(name, () =>
    new Promise(resolve => stream.write(Buffer.alloc(length, name), () => resolve(storage.getStore()))))
  t.same(await Promise.all([write('a', 5), write('b', 100_000)]), ['a', 'b'])
  t.same(await Promise.all([write('c', 5), write('d', 300_000), write('e', 1)]), ['c', 'd', 'e'])
  await endAndClose(stream)
})

streamTest('a callback that throws keeps none of the others from being called', async t => {
  const stream = createUringWriteStream(join(t.testdir(), 'file'))
  await next(stream, 'ready')
  const thrown: unknown[] = []
  const listeners = process.rawListeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', error => thrown.push(error))
  const called: number[] = []
  await new Promise<void>(resolve => {
    for (let i = 0; i < 5; i++) {
      stream.write('x', () => {
        called.push(i)
        if (i === 4) resolve()
        else if (i % 2 === 0) throw new Error(`${i}`)
      })
    }
  })
  await endAndClose(stream)
  process.removeAllListeners('uncaughtException')
  for (const each of listeners) process.on('uncaughtException', each as () => void)
  t.same(called, [0, 1, 2, 3, 4])
  t.same(thrown.map(error => (error as Error).message), ['0', '2'])
})
