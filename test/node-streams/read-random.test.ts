import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { onData, closing, properties, readAll, turn } from '../helpers/stream-events.js'

streamTest('a file of many chunks is the same by its sha256', async t => {
  const content = patterned(24 * (1 << 20) + 12345)
  const file = join(t.testdir({ file: content }), 'file')
  t.equal(sha256(await readAll(createUringReadStream(file))), sha256(content))
  t.equal(sha256(await readAll(createUringReadStream(file, { highWaterMark: 10_007 }))), sha256(content))
})

streamTest('random ranges and chunk sizes give the slices of the file', async t => {
  const random = seededFor(t)
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 60; round++) {
    const size = random.between(0, random.pick([10, 5000, 300_000]))
    writeFileSync(file, random.bytes(size))
    const start = random.chance() ? random.between(0, size + 10) : undefined
    const end = random.chance() ? random.between(start ?? 0, size + 20) : undefined
    const highWaterMark = random.between(Math.ceil(size / 200) + 1, random.pick([100, 5000, 400_000]) + size)
    const stream = createUringReadStream(file, { start, end, highWaterMark })
    const got = await readAll(stream)
    const wanted = readFileSync(file).subarray(start ?? 0, (end ?? Infinity) + 1)
    const told = JSON.stringify({ round, size, start, end, highWaterMark })
    t.ok(got.equals(wanted), told)
    t.equal(stream.bytesRead, wanted.length, told)
  }
})

streamTest('random pauses, read sizes and unshifts lose nothing and change no order', async t => {
  const random = seededFor(t)
  const file = join(t.testdir(), 'file')
  for (let round = 0; round < 20; round++) {
    const content = random.bytes(random.between(1, 200_000))
    writeFileSync(file, content)
    const stream = createUringReadStream(file, { highWaterMark: random.between(500, 50_000) })
    const got: Buffer[] = []
    if (random.chance()) {
      onData(stream, chunk => {
        got.push(chunk)
        if (!random.chance()) return
        stream.pause()
        void turn().then(() => stream.resume())
      })
    } else {
      stream.on('readable', () => {
        let chunk: Buffer | null
        while ((chunk = stream.read(random.between(1, 3000)) as Buffer | null)) {
          const back = random.chance() ? random.between(0, chunk.length - 1) : 0
          got.push(chunk.subarray(0, chunk.length - back))
          if (back) stream.unshift(chunk.subarray(chunk.length - back))
        }
      })
    }
    await closing(stream)
    t.equal(sha256(Buffer.concat(got)), sha256(content), `round ${round}, ${content.length} bytes`)
  }
})

streamTest('random moments of destruction give a prefix and close the file', async t => {
  const random = seededFor(t)
  const content = patterned(500_000)
  const file = join(t.testdir({ file: content }), 'file')
  for (let round = 0; round < 40; round++) {
    const stream = createUringReadStream(file, { highWaterMark: random.between(1000, 100_000) })
    const got: Buffer[] = []
    onData(stream, chunk => got.push(chunk))
    const closed = closing(stream)
    for (let left = random.between(0, 12); left > 0; left--) await turn()
    stream.destroy()
    const delivered = got.length
    await closed
    const bytes = Buffer.concat(got)
    t.equal(got.length, delivered, 'no data after destroy()')
    t.ok(bytes.equals(content.subarray(0, bytes.length)), `round ${round}, ${bytes.length} bytes`)
    t.equal(properties(stream).fd, null)
  }
})
