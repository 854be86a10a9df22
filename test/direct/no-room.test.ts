// Direct writes that find no room: the stream fails with the reason, and the file holds what it says was written.
import { constants, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { copyFile, createUringWriteStream, open } from '../../lib/index.js'
import { Opcode } from '../../lib/engine.js'
import { reportOf } from '../helpers/child.js'
import { makeFile } from '../helpers/files.js'
import { withExt4 } from '../helpers/image.js'
import { makeSharedRings, notDirect, notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

makeSharedRings()

const MiB = 1024 * 1024
const content = patterned(4 * MiB)
const fixture = new URL('fixtures/limited-write.js', import.meta.url)
const copyFixture = new URL('fixtures/limited-copy.js', import.meta.url)

interface Report { code: string, syscall: string, bytesWritten: number }

async function writeLimited(t: Test, path: string, args: unknown[], wrap: string[]): Promise<Report> {
  rmSync(path, { force: true })
  const report = await reportOf<Report>(t, fixture, [path, ...args.map(String)], { wrap })
  const found = readFileSync(path)
  t.equal(found.length, report.bytesWritten, 'bytesWritten is the size of the file')
  t.ok(found.equals(content.subarray(0, found.length)), 'a prefix of what was written')
  return report
}

for (const engine of ['uring', 'threads'] as const) {
  const skip = engine === 'uring' && notUring || notDirect
  for (const [chunkSize, piece] of [[MiB, 4 * MiB], [4096, 100_000], [100_000, 5000], [MiB, 0]]) {
    ringTest(`a file that may not be so large is EFBIG: ${engine}, chunks of ${chunkSize}, pieces of ${piece}`, async t => {
      const path = join(t.testdir(), 'file')
      for (const limit of [MiB, 2 * MiB + 4096, MiB + 777, 3 * MiB - 512]) {
        const report = await writeLimited(t, path, [engine, chunkSize, piece], ['prlimit', `--fsize=${limit}`])
        // A write across a limit within a block is cut there by the kernel, which then finds it to be of no whole blocks: EINVAL.
        t.match(report, { code: 'EFBIG', syscall: 'write', bytesWritten: limit }, `at ${limit}: everything that fits is in the file`)
      }
    }, skip)

    ringTest(`a disk that is full is ENOSPC: ${engine}, chunks of ${chunkSize}, pieces of ${piece}`, async t => {
      await withExt4(t, 2, null, async disk => {
        const report = await writeLimited(t, join(disk, 'file'), [engine, chunkSize, piece], [])
        t.match(report, { code: 'ENOSPC', syscall: 'write' })
        t.ok(report.bytesWritten > MiB / 2, `${report.bytesWritten}`)
      })
    }, skip)
  }

  ringTest(`a copy to a file that may not be so large is EFBIG, and leaves nothing: ${engine}`, async t => {
    const directory = t.testdir()
    const [source, target] = [makeFile(join(directory, 'source'), 4 * MiB).path, join(directory, 'target')]
    for (const limit of [MiB, MiB + 777, 3 * MiB - 512]) {
      const wrap = ['prlimit', `--fsize=${limit}`]
      t.same(await reportOf(t, copyFixture, [source, target, engine], { wrap }), { code: 'EFBIG', syscall: 'write' }, `at ${limit}`)
      t.notOk(existsSync(target))
    }
  }, skip)

  ringTest(`a full disk is ENOSPC for a positional file, and for a copy that leaves nothing (${engine})`, async t => {
    const source = makeFile(join(t.testdir(), 'source'), 4 * MiB)
    await withExt4(t, 2, null, async disk => {
      const path = join(disk, 'file')
      await t.rejects(copyFile(source.path, path, { engine, direct: true }), { code: 'ENOSPC', syscall: 'write' })
      const file = await open(path, 'wx', { engine, direct: true })
      const error = await file.write(content, 0, content.length, 0).then(() => null, error => error)
      t.match(error, { code: 'ENOSPC', syscall: 'write' })
      await file.close()
      const written = error.bytesWritten ?? 0
      t.ok(readFileSync(path).subarray(0, written).equals(content.subarray(0, written)), `${written} bytes`)
    })
  }, skip)
}

function isDirect(fd: number): boolean {
  const [, flags] = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^flags:\s*([0-7]+)$/m)!
  return (parseInt(flags, 8) & constants.O_DIRECT) !== 0
}

for (const [beginsAt, name] of [[MiB, 'one of several'], [0, 'all']] as const) {
  ringTest(`direct writes that are refused fail with that, though the page cache would have taken them (${name})`, async t => {
    const path = join(t.testdir(), 'file')
    await withRing(t, {}, async ring => {
      const start = ring.engine.start.bind(ring.engine)
      ring.engine.start = request => {
        const { position, file } = request
        // Where no block begins the kernel refuses it: EINVAL.
        if (request.opcode === Opcode.write && isDirect(file!.fd) && Number(position) >= beginsAt) request.position = Number(position) + 1
        start(request)
      }
      const stream = createUringWriteStream(path, { ring, direct: true, chunkSize: 256 * 1024 })
      const closed = closing(stream)
      stream.end(content)
      t.match(await closed, { code: 'EINVAL', syscall: 'write' })
      t.equal(stream.bytesWritten, beginsAt + 256 * 1024)
      const file = await open(path, 'r+', { ring, direct: true })
      const written = readFileSync(path).subarray(0, stream.bytesWritten)
      t.ok(written.equals(content.subarray(0, written.length)))
      await t.rejects(file.write(content, 0, content.length, 0), { code: 'EINVAL', syscall: 'write', bytesWritten: beginsAt + MiB })
      await file.close()
      t.ok(readFileSync(path).subarray(0, beginsAt + MiB).equals(content.subarray(0, beginsAt + MiB)))
    })
  }, notDirect)
}
