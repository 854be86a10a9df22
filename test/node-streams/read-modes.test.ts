import { join } from 'node:path'
import { createUringReadStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, next, onData, readAll, turn, turns } from '../helpers/stream-events.js'

streamTest('read(n) gives exactly n bytes, whatever the chunks, and the rest at the end', async t => {
  const content = patterned(10_003)
  const file = join(t.testdir({ file: content }), 'file')
  for (const highWaterMark of [64, 1000, 64 * 1024]) {
    const stream = createUringReadStream(file, { highWaterMark })
    const pieces: Buffer[] = []
    stream.on('readable', () => {
      let piece: Buffer | null
      while ((piece = stream.read(100) as Buffer | null)) pieces.push(piece)
    })
    await closing(stream)
    t.same(pieces.map(piece => piece.length), [...Array<number>(100).fill(100), 3])
    t.ok(Buffer.concat(pieces).equals(content))
  }
})

streamTest('read() before the file is open gives null, and loses nothing', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  t.equal(stream.read(), null)
  t.equal(stream.read(0), null)
  t.equal((await readAll(stream)).toString(), 'content')
})

streamTest("'readable' and read() give the content, and a last 'readable' with nothing to read", async t => {
  const content = patterned(300_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 10_000 })
  const chunks: Buffer[] = []
  let empty = false
  stream.on('readable', () => {
    let chunk: Buffer | null
    empty = true
    while ((chunk = stream.read() as Buffer | null)) {
      chunks.push(chunk)
      empty = false
    }
  })
  await closing(stream)
  t.ok(Buffer.concat(chunks).equals(content))
  t.equal(empty, true)
})

streamTest('pause() stops the data at once, resume() goes on where it was', async t => {
  const content = patterned(50_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 5000 })
  const chunks: Buffer[] = []
  let dataWhilePaused = 0
  onData(stream, chunk => {
    if (stream.isPaused()) dataWhilePaused++
    chunks.push(chunk)
    stream.pause()
    setImmediate(() => stream.resume())
  })
  await closing(stream)
  t.equal(dataWhilePaused, 0)
  t.ok(Buffer.concat(chunks).equals(content))
})

streamTest('a paused stream stops reading a source that never ends', async t => {
  const stream = createUringReadStream('/dev/zero', { highWaterMark: 64 * 1024 })
  stream.once('data', () => stream.pause())
  await next(stream, 'pause')
  let before = -1
  while (before !== stream.bytesRead) {
    before = stream.bytesRead
    await turns(200)
  }
  t.ok(before > 0 && before < 16 << 20, `${before} bytes were read ahead`)
  stream.destroy()
  await closing(stream)
})

streamTest('a reader that comes late loses nothing', async t => {
  const content = patterned(200_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 10_000 })
  await next(stream, 'ready')
  await turns(20)
  t.ok((await readAll(stream)).equals(content))
})

streamTest('two listeners of data get the same chunks', async t => {
  const content = patterned(50_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 7000 })
  const first: Buffer[] = []
  const second: Buffer[] = []
  onData(stream, chunk => first.push(chunk))
  onData(stream, chunk => second.push(chunk))
  await closing(stream)
  t.ok(first.length > 0 && first.every((chunk, i) => chunk === second[i]))
  t.ok(Buffer.concat(second).equals(content))
})

streamTest('unshift() puts bytes before the next chunk', async t => {
  const content = patterned(30_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 1000 })
  await next(stream, 'readable')
  const header = stream.read(10) as Buffer
  t.ok(header.equals(content.subarray(0, 10)))
  stream.unshift(header)
  stream.unshift(Buffer.from('more'))
  t.ok((await readAll(stream)).equals(Buffer.concat([Buffer.from('more'), content])))
})

streamTest('setEncoding() after construction gives strings, with characters whole', async t => {
  const text = 'añ€😀'.repeat(500)
  const file = join(t.testdir({ file: text }), 'file')
  for (const highWaterMark of [1, 3, 7, 1000]) {
    const stream = createUringReadStream(file, { highWaterMark })
    t.equal(stream.setEncoding('utf8'), stream)
    t.equal(stream.readableEncoding, 'utf8')
    let got = ''
    stream.on('data', (chunk: unknown) => { got += chunk as string })
    await closing(stream)
    t.equal(got, text)
  }
})

streamTest('setEncoding() also holds for what was read already', async t => {
  const text = 'añ€😀'.repeat(500)
  const file = join(t.testdir({ file: text }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 101 })
  await next(stream, 'readable')
  stream.setEncoding('utf8')
  let got = ''
  stream.on('data', (chunk: unknown) => { got += chunk as string })
  await closing(stream)
  t.equal(got, text)
})

streamTest('chunks that are kept stay as they were', async t => {
  const content = patterned(3 << 20)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file)
  const chunks: Buffer[] = []
  const sums: string[] = []
  onData(stream, chunk => {
    chunks.push(chunk)
    sums.push(sha256(chunk))
  })
  await closing(stream)
  await readAll(createUringReadStream(file))
  t.same(chunks.map(sha256), sums, 'also after another stream has read')
  t.ok(Buffer.concat(chunks).equals(content))
})

streamTest('a consumer may change the chunks it was given', async t => {
  const content = patterned(1 << 20)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 10_000 })
  const copies: Buffer[] = []
  onData(stream, chunk => {
    copies.push(Buffer.from(chunk))
    chunk.fill(0)
  })
  await closing(stream)
  t.ok(Buffer.concat(copies).equals(content))
})

streamTest('many streams of one file at once give the same bytes', async t => {
  const content = patterned(200_001)
  const file = join(t.testdir({ file: content }), 'file')
  const all = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    if (i % 2) await turn()
    return readAll(createUringReadStream(file, { start: i, highWaterMark: 5000 + i }))
  }))
  t.same(all.map(sha256), all.map((_, i) => sha256(content.subarray(i))))
})
