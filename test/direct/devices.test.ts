// Devices with `direct`: block devices are read and written past the page cache, as files are; others have no direct IO.
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { copyFile, createUringReadStream, createUringWriteStream, open } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { withLoopDevice } from '../helpers/image.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import { closing, writeOne } from '../helpers/stream-events.js'

const MiB = 1024 * 1024

async function readAll(stream: ReturnType<typeof createUringReadStream>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

// The end of the first one lies within a page.
for (const [sector, bytes] of [[512, 3 * MiB + 3 * 512], [4096, 3 * MiB]] as const) {
  ringTest(`a block device with sectors of ${sector} is read direct, from anywhere to its end`, async t => {
    const content = patterned(bytes)
    await withLoopDevice(t, content, sector, async device => {
      for (const options of [{}, { start: 12_345 }, { start: 5000, end: 1_000_001, buffers: 'leased' as const }, { start: bytes - 100 }]) {
        const stream = createUringReadStream(device, { direct: true, ...options })
        let direct = false
        stream.once('ready', () => { direct = stream.direct })
        const expected = content.subarray(options.start ?? 0, (options.end ?? bytes) + 1)
        t.ok((await readAll(stream)).equals(expected), JSON.stringify(options))
        t.ok(direct)
      }
    })
  }, notDirect)

  ringTest(`a block device with sectors of ${sector} is written direct, and nothing else on it is changed`, async t => {
    const random = seededFor(t)
    const expected = patterned(bytes)
    await withLoopDevice(t, expected, sector, async device => {
      for (const [start, length] of [[0, MiB], [777, 2 * MiB + 3], [bytes - 5000, 5000], [4096, 100]]) {
        const content = random.bytes(length)
        const stream = createUringWriteStream(device, { direct: true, start, flush: true })
        t.equal(await writeOne(stream, content), undefined)
        t.ok(stream.direct)
        const closed = closing(stream)
        stream.end()
        t.equal(await closed, undefined)
        content.copy(expected, start)
        t.ok(readFileSync(device).equals(expected), `${length} bytes at ${start}`)
      }
      const file = await open(device, 'r+', { direct: true })
      const patch = random.bytes(10_000)
      await file.write(patch, 0, patch.length, 4001)
      patch.copy(expected, 4001)
      const { bytesRead, buffer } = await file.read(Buffer.alloc(20_000), 0, 20_000, bytes - 9_999)
      t.ok(buffer.subarray(0, bytesRead).equals(expected.subarray(bytes - 9_999)), 'up to its end')
      await file.close()
      t.ok(readFileSync(device).equals(expected))
    })
  }, notDirect)

  ringTest(`what goes beyond the end of a block device with sectors of ${sector} fails`, async t => {
    const expected = patterned(bytes)
    await withLoopDevice(t, expected, sector, async device => {
      const start = bytes - 20_000
      const content = patterned(50_000, 3)
      content.copy(expected, start)
      const stream = createUringWriteStream(device, { direct: true, start, chunkSize: 4096 })
      const closed = closing(stream)
      stream.end(content)
      t.match(await closed, { code: 'ENOSPC', syscall: 'write' })
      t.equal(stream.bytesWritten, 20_000, 'everything that fits')
      t.ok(readFileSync(device).equals(expected))
      const file = await open(device, 'r+', { direct: true })
      const more = patterned(3 * MiB, 4)
      more.copy(expected, start)
      await t.rejects(file.write(more, 0, more.length, start), { code: 'ENOSPC', syscall: 'write', bytesWritten: 20_000 })
      await file.close()
      t.ok(readFileSync(device).equals(expected))
    })
  }, notDirect)
}

ringTest('a block device is copied direct, and to one nothing is written behind what was copied', async t => {
  const bytes = MiB + 3 * 512
  const expected = patterned(bytes)
  const directory = t.testdir()
  await withLoopDevice(t, expected, 512, async device => {
    const target = join(directory, 'target')
    t.match(await copyFile(device, target, { direct: true }), { bytes, method: 'direct' })
    t.ok(readFileSync(target).equals(expected))
    // Smaller than a unit, whole units, and up to the last byte.
    for (const [i, size] of [300_001, 100, 65_536, bytes - 100, 5, bytes].entries()) {
      const source = makeFile(join(directory, `source-${i}`), size)
      t.match(await copyFile(source.path, device, { direct: true, flush: true }), { bytes: size, method: 'direct' })
      source.content.copy(expected)
      t.ok(readFileSync(device).equals(expected), `${size} bytes`)
    }
  })
}, notDirect)

for (const direct of [false, true]) {
  ringTest(`a copy to a block device that is too small is ENOSPC, and everything that fits is on it (direct: ${direct})`, async t => {
    const bytes = MiB + 3 * 512
    const source = makeFile(join(t.testdir(), 'source'), 3 * MiB)
    await withLoopDevice(t, patterned(bytes), 512, async device => {
      await t.rejects(copyFile(source.path, device, { direct, depth: 1, chunkSize: 65_536 }), { code: 'ENOSPC', syscall: 'write', dest: device })
      t.ok(readFileSync(device).equals(source.content.subarray(0, bytes)))
    })
  }, notDirect)
}

ringTest('the holes of a source are zeros on a block device', async t => {
  const source = join(t.testdir(), 'source')
  const content = Buffer.concat([patterned(100_000), Buffer.alloc(700_000), patterned(50_000, 3), Buffer.alloc(100_000)])
  const fd = openSync(source, 'w')
  writeSync(fd, content, 0, 100_000, 0)
  writeSync(fd, content, 800_000, 50_000, 800_000)
  ftruncateSync(fd, content.length)
  closeSync(fd)
  t.ok(statSync(source).blocks * 512 < 300_000, 'it has holes')
  for (const direct of [false, 'prefer'] as const) {
    const expected = patterned(MiB, 9)
    await withLoopDevice(t, expected, 512, async device => {
      t.match(await copyFile(source, device, { direct }), { bytes: content.length })
      content.copy(expected)
      t.ok(readFileSync(device).equals(expected))
    })
  }
}, notDirect)

t.test('a character device has no direct IO: true says so, prefer goes on', { skip: notDirect || notLinux }, async t => {
  t.match(await closing(createUringReadStream('/dev/zero', { direct: true })), { code: 'ERR_DIRECT_UNAVAILABLE', message: /nor a block device/ })
  const stream = createUringReadStream('/dev/zero', { direct: 'prefer', end: 9_999 })
  t.ok((await readAll(stream)).equals(Buffer.alloc(10_000)))
  t.equal(stream.direct, false)
})
