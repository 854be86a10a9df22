// Direct writes that find no room: the stream fails with the reason, and the file holds what it says was written.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { copyFile, open } from '../../lib/index.js'
import { reportOf } from '../helpers/child.js'
import { makeFile } from '../helpers/files.js'
import { withExt4 } from '../helpers/image.js'
import { makeSharedRings, notDirect, notUring, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'

makeSharedRings()

const MiB = 1024 * 1024
const content = patterned(4 * MiB)
const fixture = new URL('fixtures/limited-write.js', import.meta.url)

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
  for (const [chunkSize, piece] of [[MiB, 4 * MiB], [4096, 100_000], [100_000, 5000]]) {
    ringTest(`a file that may not be so large is EFBIG: ${engine}, chunks of ${chunkSize}, pieces of ${piece}`, async t => {
      const path = join(t.testdir(), 'file')
      for (const limit of [MiB, 2 * MiB + 4096, MiB + 777]) {
        const report = await writeLimited(t, path, [engine, chunkSize, piece], ['prlimit', `--fsize=${limit}`])
        // A write across a limit within a block is cut there by the kernel, which then finds it to be of no whole blocks.
        t.match(report, { code: limit % 4096 === 0 ? 'EFBIG' : /^(EFBIG|EINVAL)$/, syscall: 'write' }, `at ${limit}`)
        t.ok(report.bytesWritten <= limit, `${report.bytesWritten} of ${limit}`)
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
