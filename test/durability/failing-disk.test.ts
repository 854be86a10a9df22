// A disk that fails in the middle: what a stream says is on it must be on it.
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { allocateAligned, createUringReadStream, createUringWritableStream, createUringWriteStream, open } from '../../lib/index.js'
import type { WriteStreamOptions } from '../../lib/index.js'
import { forget } from '../helpers/files.js'
import { brokenAt, resizeDisk, withExt4, withImage } from '../helpers/image.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const MiB = 1 << 20
const content = patterned(24 * MiB, 12)

/** Writes the content in pieces until the stream fails or has finished; gives the error. */
async function writeAll(path: string, options: WriteStreamOptions, piece: number): Promise<{ error?: NodeJS.ErrnoException, flushed: number, written: number }> {
  const stream = createUringWriteStream(path, { chunkSize: 100_000, writeBehind: 4, ...options })
  const closed = closing(stream)
  let at = 0
  const more = (): void => {
    while (at < content.length && !stream.destroyed) if (!stream.write(content.subarray(at, at += piece))) return
    stream.end()
  }
  stream.on('drain', more)
  more()
  const error = await closed
  return { error, flushed: stream.flushedPosition, written: stream.bytesWritten }
}

/** What is on the disk itself of the first bytes of a file. */
function onDisk(path: string, length: number): Buffer {
  const whole = allocateAligned(Math.ceil(length / 4096) * 4096, 4096)
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
  try {
    for (let at = 0; at < whole.length;) {
      const bytes = readSync(fd, whole, at, Math.min(MiB, whole.length - at), at)
      if (bytes === 0) break
      at += bytes
    }
  } finally {
    closeSync(fd)
  }
  return Buffer.from(whole.buffer, whole.byteOffset, length)
}

function assertFlushed(t: Test, path: string, flushed: number): void {
  t.ok(onDisk(path, flushed).equals(content.subarray(0, flushed)), `the first ${flushed} bytes are on the disk`)
}

for (const options of [
  { sync: 'data' }, { sync: 'full' }, { sync: 'data', direct: true }, { direct: true }, { direct: true, preallocate: content.length },
  { flush: true }, { flush: true, direct: true }, { sync: 'data', writeBehind: 1 }
] satisfies WriteStreamOptions[]) {
  ringTest(`a disk that fails in the middle is EIO, and flushedPosition is true: ${JSON.stringify(options)}`, async t => {
    const random = seededFor(t)
    await withExt4(t, 64, 12, async disk => {
      const path = join(disk, 'file')
      const { error, flushed, written } = await writeAll(path, options, random.pick([50_000, 150_000, 300_000]))
      t.match(error, { code: 'EIO', errno: -5, syscall: /^(write|fsync|fdatasync)$/ })
      t.ok(flushed < content.length && flushed <= written, `${flushed} of ${written}`)
      t.equal(flushed > 0, 'sync' in options, 'whether anything is known of the disk')
      assertFlushed(t, path, flushed)
    })
  }, notDirect)
}

ringTest('an atomic file on a disk that fails leaves the old one, and no other', async t => {
  await withExt4(t, 64, 12, async disk => {
    const path = join(disk, 'file')
    for (const direct of [false, true]) {
      writeFileSync(path, 'what was there before')
      const { error, flushed } = await writeAll(path, { atomic: true, direct }, 300_000)
      t.match(error, { code: 'EIO' })
      t.equal(flushed, 0)
      t.equal(readFileSync(path, 'utf8'), 'what was there before')
      t.same(readdirSync(disk), ['file'])
    }
    const writer = createUringWritableStream(path, { atomic: true }).getWriter()
    await t.rejects(writer.write(content).then(() => writer.close()), { code: 'EIO' })
    t.same(readdirSync(disk), ['file'])
  })
}, notDirect)

ringTest('a disk that is full fails direct and durable writes with ENOSPC, and leaves no hole', async t => {
  const random = seededFor(t)
  await withExt4(t, 8, null, async disk => {
    const path = join(disk, 'file')
    for (const options of [{ sync: 'data' }, { sync: 'full', direct: true }, { direct: true }, { flush: true }, { flush: true, direct: true }] satisfies WriteStreamOptions[]) {
      const how = JSON.stringify(options)
      const { error, flushed, written } = await writeAll(path, options, random.pick([50_000, 150_000, 300_000]))
      t.match(error, { code: 'ENOSPC', syscall: 'write' }, how)
      const left = readFileSync(path)
      t.equal(left.length, written, `${how}: so many were reported`)
      t.ok(left.equals(content.subarray(0, left.length)), `${how}: ${left.length} bytes are left`)
      t.ok(flushed <= written && flushed > 0 === 'sync' in options, `${how}: ${flushed} are flushed`)
      assertFlushed(t, path, flushed)
      rmSync(path)
    }
    const refused = await writeAll(path, { preallocate: 16 * MiB, direct: true }, MiB)
    t.match(refused.error, { code: 'ENOSPC', syscall: 'fallocate' })
    t.equal(statSync(path).size, 0)
  })
}, notDirect)

ringTest('a direct UringFile tells of EIO, and how much it has written', async t => {
  await withExt4(t, 64, 12, async disk => {
    const path = join(disk, 'file')
    const file = await open(path, 'w+', { direct: true })
    const error = await file.write(content, 0, content.length, 1).then(() => null, (error: NodeJS.ErrnoException & { bytesWritten: number }) => error)
    t.match(error, { code: 'EIO', syscall: 'write' })
    const { bytesWritten } = error!
    t.ok(bytesWritten > 0 && bytesWritten < content.length, `${bytesWritten} bytes`)
    t.ok(onDisk(path, bytesWritten + 1).subarray(4096).equals(content.subarray(4095, bytesWritten)))
    await file.close()
    const read = await closing(createUringReadStream(path, { direct: true, end: 8 * MiB }).resume())
    t.equal(read, undefined, 'what is on the disk can be read')
  })
}, notDirect)

ringTest('a direct UringFile gives what it has read before a disk fails, and then EIO', async t => {
  await withImage(t, ['mkfs.ext4', '-q', '-F', '-m', '0'], 64, async image => {
    const path = join(image.folder, 'file')
    writeFileSync(path, content)
    forget(path)
    resizeDisk(image, brokenAt(path))
    const file = await open(path, 'r', { direct: true })
    const memory = Buffer.alloc(content.length)
    const { bytesRead } = await file.read(memory, 0, memory.length - 1, 1)
    t.ok(bytesRead > 0 && bytesRead < content.length - 1, `${bytesRead} bytes`)
    t.ok(memory.subarray(0, bytesRead).equals(content.subarray(1, 1 + bytesRead)))
    await t.rejects(file.read(memory, 0, memory.length, 1 + bytesRead), { code: 'EIO', syscall: 'read' })
    await file.close()
    resizeDisk(image, 64 * MiB) // so that it can be unmounted
  })
}, notDirect)
