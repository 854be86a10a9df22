import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { open } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import { readAll } from '../helpers/stream-events.js'

const edges = [0, 1, 511, 512, 4095, 4096, 4097, 8191, 8192, 8193]

ringTest('a direct UringFile reads and writes any range, from memory at any address', async t => {
  const path = join(t.testdir(), 'file')
  let expected = patterned(40_000, 4)
  writeFileSync(path, expected)
  const file = await open(path, 'r+', { direct: true })
  t.equal(file.direct, true)
  let wrong = 0
  for (const position of edges) {
    for (const length of edges.slice(1)) {
      const memory = Buffer.alloc(length + 20)
      const { bytesRead } = await file.read(memory, 7, length, position)
      const right = bytesRead === length && memory.subarray(7, 7 + length).equals(expected.subarray(position, position + length))
      const untouched = memory.subarray(0, 7).equals(Buffer.alloc(7)) && memory.subarray(7 + length).equals(Buffer.alloc(13))
      const content = patterned(length + 3, position + length + 2)
      const { bytesWritten } = await file.write(content, 3, length, BigInt(position))
      expected = Buffer.from(expected)
      content.copy(expected, position, 3)
      if (right && untouched && bytesWritten === length && readFileSync(path).equals(expected)) continue
      wrong++
      t.fail(`${length} bytes at ${position}`)
    }
  }
  t.equal(wrong, 0)
  await file.close()
}, notDirect)

ringTest('a direct UringFile extends the file by exactly what is written, and reads up to its end', async t => {
  const path = join(t.testdir(), 'file')
  const content = patterned(9_437_185 + 1000, 8)
  const file = await open(path, 'w+', { direct: true })
  t.equal((await file.write(content, 0, content.length, 1)).bytesWritten, content.length)
  t.equal((await file.stat()).size, content.length + 1)
  const memory = Buffer.alloc(content.length + 100_000)
  t.equal((await file.read(memory, 0, memory.length, 1)).bytesRead, content.length)
  t.ok(memory.subarray(0, content.length).equals(content))
  for (const beyond of [content.length + 1, content.length + 2, content.length + 100_000]) {
    t.equal((await file.read(memory, 0, 10, beyond)).bytesRead, 0, `nothing at ${beyond}`)
  }
  const stream = file.createReadStream({ start: 1 })
  t.ok((await readAll(stream)).equals(content), 'a stream of it gives the same')
  t.equal(stream.direct, true, 'and is direct')
}, notDirect)

ringTest('close waits for all of a direct transfer', async t => {
  const path = join(t.testdir(), 'file')
  const content = patterned(20 << 20, 9)
  for (const position of [0, 777]) {
    const file = await open(path, 'w', { direct: true })
    const written = file.write(content, 0, content.length, position)
    await file.close()
    t.equal((await written).bytesWritten, content.length, `written at ${position}`)
    t.ok(readFileSync(path).subarray(position).equals(content))
  }
  const file = await open(path, 'r', { direct: true })
  const read = file.read(Buffer.alloc(content.length), 0, content.length, 777)
  await file.close()
  const { bytesRead, buffer } = await read
  t.equal(bytesRead, content.length)
  t.ok(buffer.equals(content))
}, notDirect)

ringTest('random direct reads and writes at once, of ranges apart, are those of a buffered file', async t => {
  const random = seededFor(t)
  const path = join(t.testdir(), 'file')
  const expected = patterned(600_000, 6)
  writeFileSync(path, expected)
  const file = await open(path, 'r+', { direct: true })
  for (let round = 0; round < 20; round++) {
    let at = random.between(0, 5000)
    const work: Promise<unknown>[] = []
    while (at < expected.length - 40_000) {
      const [position, length] = [at, random.between(1, 30_000)]
      at += length + random.between(0, 9000)
      if (random.chance()) {
        const content = random.bytes(length)
        content.copy(expected, position)
        work.push(file.write(content, 0, length, position))
      } else {
        const memory = Buffer.alloc(length)
        const wanted = Buffer.from(expected.subarray(position, position + length))
        work.push(file.read(memory, 0, length, position).then(() => t.ok(memory.equals(wanted), `${length} bytes at ${position}`)))
      }
    }
    await Promise.all(work)
  }
  await file.sync()
  await file.close()
  t.ok(readFileSync(path).equals(expected))
}, notDirect)

ringTest('a signal ends direct transfers, and a closed file refuses them', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 100_000)
  const file = await open(path, 'r+', { direct: true })
  await t.rejects(file.read(Buffer.alloc(10), { position: 5, signal: AbortSignal.abort() }), { code: 'ABORT_ERR' })
  await file.close()
  await t.rejects(file.read(Buffer.alloc(10), 0, 10, 0), { code: 'EBADF' })
}, notDirect)
