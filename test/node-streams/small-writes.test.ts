import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, next, turn } from '../helpers/stream-events.js'

streamTest('twenty thousand small writes in one tick arrive whole and in order', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const lines: string[] = []
  for (let i = 0; i < 20_000; i++) {
    lines.push(`line ${i} ${'ä'.repeat(i % 17)}\n`)
    stream.write(lines[i])
  }
  await endAndClose(stream)
  t.equal(sha256(readFileSync(file)), sha256(Buffer.from(lines.join(''))))
  t.equal(stream.bytesWritten, Buffer.byteLength(lines.join('')))
})

streamTest('single bytes with a pause for each drain arrive in order', async t => {
  const content = patterned(10_000)
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { highWaterMark: 64 })
  for (let i = 0; i < content.length; i++) {
    if (!stream.write(content.subarray(i, i + 1))) await next(stream, 'drain')
  }
  await endAndClose(stream)
  t.ok(readFileSync(file).equals(content))
})

streamTest('writes spread over many turns of the loop arrive in order', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const parts: string[] = []
  for (let i = 0; i < 300; i++) {
    parts.push(`${i};`)
    stream.write(parts[i])
    if (i % 3 === 0) await turn()
    if (i % 50 === 0) await Promise.resolve()
  }
  await endAndClose(stream)
  t.equal(readFileSync(file, 'utf8'), parts.join(''))
})

streamTest('small and large writes, strings and bytes, mixed, keep their order', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file)
  const parts: Buffer[] = []
  for (let i = 0; i < 200; i++) {
    const part = i % 40 === 7 ? patterned(300_000, i) : i % 3 ? Buffer.from(`text ${i} €`) : patterned(i, i + 1)
    parts.push(part)
    if (i % 3 && i % 40 !== 7) stream.write(part.toString('utf8'), 'utf8')
    else stream.write(part)
  }
  await endAndClose(stream)
  t.equal(sha256(readFileSync(file)), sha256(Buffer.concat(parts)))
})

streamTest('a producer that uses its small buffer again after each drain is written right', async t => {
  const file = join(t.testdir(), 'file')
  const stream = createUringWriteStream(file, { highWaterMark: 10 })
  const record = Buffer.alloc(32)
  const parts: string[] = []
  for (let i = 0; i < 500; i++) {
    parts.push(`record ${i}`.padEnd(32, '.'))
    record.write(parts[i], 'latin1')
    t.equal(stream.write(record), false)
    await next(stream, 'drain')
    record.fill('#')
  }
  await endAndClose(stream)
  t.equal(readFileSync(file, 'latin1'), parts.join(''))
})

streamTest('small writes in the middle of a file change nothing else', async t => {
  const content = patterned(100_000)
  const file = join(t.testdir({ file: content }), 'file')
  const stream = createUringWriteStream(file, { flags: 'r+', start: 12_345 })
  for (let i = 0; i < 1000; i++) stream.write(Buffer.from([i & 0xff, 0xaa, 0x55]))
  await endAndClose(stream)
  for (let i = 0; i < 1000; i++) Buffer.from([i & 0xff, 0xaa, 0x55]).copy(content, 12_345 + 3 * i)
  t.equal(sha256(readFileSync(file)), sha256(content))
})

streamTest('random sizes, flags, corks, waits and callbacks give the same file as one writeFileSync', async t => {
  const random = seededFor(t)
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 25; round++) {
    const before = random.bytes(random.between(0, 5000))
    writeFileSync(file, before)
    const [flags, start] = random.pick([['w', undefined], ['a', undefined], ['r+', random.between(0, before.length)]] as const)
    const highWaterMark = random.pick([10, 100, 5000, 64 * 1024, 300_000])
    const stream = createUringWriteStream(file, { flags, start, highWaterMark })
    const parts: Buffer[] = []
    const order: number[] = []
    const wanted: number[] = []
    for (let i = random.between(0, 150); i > 0; i--) {
      const part = random.bytes(random.between(0, random.pick([5, 500, 20_000])))
      parts.push(part)
      wanted.push(i)
      const cork = random.between(0, 9) === 0
      if (cork) stream.cork()
      const more = stream.write(part, error => { order.push(error ? -1 : i) })
      if (cork) process.nextTick(() => stream.uncork())
      if (!more && random.chance()) await next(stream, 'drain')
      else if (random.between(0, 5) === 0) await turn()
    }
    stream.end()
    const told = JSON.stringify({ round, flags, start, highWaterMark, writes: parts.length })
    t.equal(await closing(stream), undefined, told)
    const written = Buffer.concat(parts)
    const head = flags === 'a' ? before : flags === 'w' ? Buffer.alloc(0) : before.subarray(0, start)
    const tail = flags === 'r+' ? before.subarray(head.length + written.length) : Buffer.alloc(0)
    t.equal(sha256(readFileSync(file)), sha256(Buffer.concat([head, written, tail])), told)
    t.same(order, wanted, told)
  }
})
