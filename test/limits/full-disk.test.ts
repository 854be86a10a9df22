import { execFileSync } from 'node:child_process'
import fs, { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import type { UringWriteStream } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, shapeOf, thrown } from '../helpers/stream-events.js'

const diskBytes = 1 << 20
const content = patterned(3 * diskBytes, 3)

/** Runs `body` with a file system of 1 MiB; skips with a reason where it may not be mounted. */
async function withSmallDisk(t: Test, body: (disk: string, directory: string) => Promise<void>): Promise<void> {
  const directory = t.testdir()
  const disk = join(directory, 'disk')
  mkdirSync(disk)
  const refused = thrown(() => execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', disk], { stdio: 'pipe' }))
  if (refused !== undefined) {
    t.pass('a small disk', { skip: `it cannot be mounted here: ${refused.message.trim().split('\n').at(-1)}` })
    return
  }
  try {
    await body(disk, directory)
  } finally {
    execFileSync('umount', [disk])
  }
}

function writeAll(writer: UringWriteStream, piece: () => number): void {
  let at = 0
  const more = (): void => {
    while (at < content.length && !writer.destroyed) if (!writer.write(content.subarray(at, at += piece()))) return
  }
  writer.on('drain', more)
  more()
}

/** What is left must be the beginning of the content, and what the stream said. */
function assertPrefix(t: Test, path: string, bytesWritten: number): void {
  const left = readFileSync(path)
  t.ok(left.equals(content.subarray(0, left.length)), `${left.length} bytes are left, without a hole`)
  t.equal(bytesWritten, left.length, 'and so many were reported')
}

ringTest('a full disk fails writes of all sizes with ENOSPC and leaves no hole', async t => {
  const random = seededFor(t)
  const sizes = [() => 100, () => 16_384, () => 100_000, () => content.length, () => random.pick([1, 5000, 20_000, 150_000])]
  await withSmallDisk(t, async disk => {
    const path = join(disk, 'target')
    for (const piece of sizes) {
      for (const writeBehind of [1, 4, 16]) {
        const direct = random.pick([false, 'prefer'] as const)
        const writer = createUringWriteStream(path, { writeBehind, chunkSize: 50_000, direct })
        const closed = closing(writer)
        writeAll(writer, piece)
        const error = await closed
        t.match(shapeOf(error), { code: 'ENOSPC', syscall: 'write', errno: -28, message: 'ENOSPC: no space left on device, write' })
        assertPrefix(t, path, writer.bytesWritten)
        rmSync(path)
      }
    }
  })
}, notLinux)

for (const buffers of ['owned', 'leased'] as const) {
  ringTest(`a copy to a full disk fails with ENOSPC, and works when there is room again (${buffers})`, async t => {
    await withSmallDisk(t, async (disk, directory) => {
      writeFileSync(join(directory, 'large'), content)
      const fits = makeFile(join(directory, 'fits'), diskBytes / 2)
      const path = join(disk, 'target')
      const reader = createUringReadStream(join(directory, 'large'), { chunkSize: 50_000, buffers })
      const writer = createUringWriteStream(path)
      const closed = [closing(writer), closing(reader)]
      reader.pipe(writer)
      writer.on('close', () => reader.destroy())
      const [error] = await Promise.all(closed)
      t.match(error, { code: 'ENOSPC', syscall: 'write' })
      assertPrefix(t, path, writer.bytesWritten)
      rmSync(path)
      const again = createUringWriteStream(path)
      createUringReadStream(fits.path, { buffers }).pipe(again)
      t.equal(await closing(again), undefined)
      t.equal(sha256(readFileSync(path)), fits.sha256)
    })
  }, notLinux)
}

ringTest('a disk that fills up in the middle of an existing file keeps what the file held beyond', async t => {
  await withSmallDisk(t, async disk => {
    const path = join(disk, 'target')
    // Sparse: it looks longer than the disk has room for.
    writeFileSync(path, 'head')
    truncateSync(path, 2 * diskBytes)
    const writer = createUringWriteStream(path, { flags: 'r+', chunkSize: 50_000 })
    const closed = closing(writer)
    writeAll(writer, () => 100_000)
    t.match(await closed, { code: 'ENOSPC' })
    t.equal(statSync(path).size, 2 * diskBytes, 'its size is what it was')
    const left = readFileSync(path).subarray(0, writer.bytesWritten)
    t.ok(left.length > 0 && left.equals(content.subarray(0, left.length)), `${left.length} bytes are in it`)
  })
}, notLinux)

ringTest('nothing counts as written to a device that is full from the start', async t => {
  const error = await endAndClose(createUringWriteStream('/dev/full')).then(() => undefined, (error: Error) => error)
  t.equal(error, undefined, 'where nothing is written, nothing fails')
  for (const piece of [10, 20_000, 1_000_000]) {
    const [writer, theirs] = [createUringWriteStream('/dev/full'), fs.createWriteStream('/dev/full')]
    const closed = [closing(writer), closing(theirs)]
    for (const each of [writer, theirs]) for (let i = 0; i < 5; i++) each.write(content.subarray(0, piece))
    const [ours, fromFs] = await Promise.all(closed)
    t.same(shapeOf(ours), shapeOf(fromFs))
    t.match(ours, { code: 'ENOSPC' })
    t.equal(writer.bytesWritten, 0)
  }
}, notLinux)
