// copyFile: file systems that are full, broken, read-only, or share blocks.
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { copyFile } from '../../lib/index.js'
import type { CopyOptions } from '../../lib/index.js'
import { sha256OfFile } from '../helpers/copy-tool.js'
import { notLinux } from '../helpers/descriptors.js'
import { forget, makeFile } from '../helpers/files.js'
import { brokenAt, resizeDisk, withImage, withLoopDevice } from '../helpers/image.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'

makeSharedRings()

const MiB = 1024 * 1024
const ext4 = ['mkfs.ext4', '-q', '-F', '-m', '0']

async function failure(source: string, target: string, options: CopyOptions): Promise<NodeJS.ErrnoException> {
  return copyFile(source, target, { reflink: 'never', ...options }).then(
    () => { throw new Error('it did not fail') }, (error: Error) => error)
}

for (const engine of ['uring', 'threads'] as const) {
  const skip = notLinux || (engine === 'uring' && notUring)

  for (const atomic of [false, true]) {
    ringTest(`an ext4 that fills up in the middle: ENOSPC, and no partial target (${engine}${atomic ? ', atomic' : ''})`, async t => {
      const outside = t.testdir()
      await withImage(t, ext4, 32, async ({ folder }) => {
        // Larger than what is allocated beforehand: that fails, and the writes say so.
        const source = makeFile(join(outside, 'source'), 40 * MiB)
        const target = join(folder, 'target')
        for (const old of [null, 'precious']) {
          if (old !== null) writeFileSync(target, old)
          t.match(await failure(source.path, target, { engine, atomic }), { code: 'ENOSPC', syscall: 'write', path: source.path, dest: target })
          t.same(readdirSync(folder).filter(name => name !== 'lost+found'), atomic && old !== null ? ['target'] : [], 'what is left')
          if (atomic && old !== null) t.equal(readFileSync(target, 'utf8'), old)
        }
        const small = makeFile(join(outside, 'small'), 2 * MiB)
        await copyFile(small.path, target, { engine, atomic })
        t.equal(sha256OfFile(target), small.sha256, 'the space was given back')
      })
    }, skip)
  }

  ringTest(`a source whose disk breaks in the middle: EIO of the read, and no target (${engine})`, async t => {
    const outside = t.testdir()
    await withImage(t, ext4, 64, async image => {
      const source = makeFile(join(image.folder, 'source'), 24 * MiB)
      const target = join(outside, 'target')
      writeFileSync(target, 'old')
      forget(source.path)
      resizeDisk(image, brokenAt(source.path))
      t.match(await failure(source.path, target, { engine }), { code: 'EIO', syscall: 'read', path: source.path, dest: target })
      t.notOk(existsSync(target))
      writeFileSync(target, 'precious')
      t.match(await failure(source.path, target, { engine, atomic: true }), { code: 'EIO', syscall: 'read' })
      t.equal(readFileSync(target, 'utf8'), 'precious')
      t.same(readdirSync(outside), ['target'])
      resizeDisk(image, 64 * MiB) // so that it can be unmounted
    })
  }, skip)

  ringTest(`a target on a read-only file system: EROFS, and nothing is touched (${engine})`, async t => {
    const outside = t.testdir()
    await withImage(t, ext4, 16, async ({ folder }) => {
      const source = makeFile(join(outside, 'source'), MiB)
      const target = join(folder, 'target')
      writeFileSync(target, 'precious')
      execFileSync('mount', ['-o', 'remount,ro', folder])
      for (const atomic of [false, true]) {
        for (const each of [target, join(folder, 'new')]) {
          t.match(await failure(source.path, each, { engine, atomic }), { code: 'EROFS', syscall: 'open', path: source.path, dest: each })
        }
      }
      t.equal(readFileSync(target, 'utf8'), 'precious')
    })
  }, skip)

  for (const [name, make, megabytes] of [
    ['btrfs', ['mkfs.btrfs', '-q', '-f'], 128], ['XFS', ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1'], 320]
  ] as const) {
    ringTest(`blocks are shared on ${name}, unless that is not wanted (${engine})`, async t => {
      await withImage(t, [...make], megabytes, async ({ folder }) => assertReflinks(t, folder, engine))
    }, skip)
  }

  ringTest(`blocks that btrfs does not share, for one file has checksums: the old target stays (${engine})`, async t => {
    await withImage(t, ['mkfs.btrfs', '-q', '-f'], 128, async ({ folder }) => {
      const [source, target] = [join(folder, 'source'), join(folder, 'target')]
      writeFileSync(source, '')
      execFileSync('chattr', ['+C', source])
      writeFileSync(source, patterned(100_000))
      writeFileSync(target, 'precious')
      t.match(await failure(source, target, { engine, reflink: 'always' }), { code: 'EINVAL', syscall: 'ioctl' })
      t.equal(readFileSync(target, 'utf8'), 'precious')
      const { method } = await copyFile(source, target, { engine })
      t.equal(method, 'buffered')
      t.ok(readFileSync(target).equals(patterned(100_000)))
    })
  }, skip)

  ringTest(`a direct copy of data that is no whole units, to a disk that takes no less (${engine})`, t => withImage(t, [...ext4, '-b', '1024'], 16, async ({ folder }) => {
    const source = join(folder, 'source')
    const content = Buffer.alloc(200_000)
    const fd = openSync(source, 'w')
    for (const [start, length] of [[1024, 1024], [3072, 1024], [7168, 50_000], [101_376, 1024]]) {
      const data = patterned(length, start)
      data.copy(content, start)
      writeSync(fd, data, 0, data.length, start)
    }
    closeSync(fd)
    truncateSync(source, content.length)
    await withLoopDevice(t, Buffer.alloc(16 * MiB), 4096, async device => {
      const disk = join(t.testdir(), 'disk')
      mkdirSync(disk)
      execFileSync('mkfs.ext4', ['-q', '-F', device], { stdio: 'pipe' })
      execFileSync('mount', [device, disk])
      try {
        const target = join(disk, 'target')
        const copied: number[] = []
        await copyFile(source, target, { engine, direct: 'prefer', chunkSize: 8192, onProgress: ({ copiedBytes }) => copied.push(copiedBytes) })
        t.ok(readFileSync(target).equals(content))
        t.equal(copied.at(-1), content.length)
      } finally {
        execFileSync('umount', [disk])
      }
    })
  }), skip)

  ringTest(`what procfs and sysfs show of size 0 or of a page is copied as it reads (${engine})`, async t => {
    const directory = t.testdir()
    for (const source of ['/proc/version', '/proc/cpuinfo', '/sys/kernel/mm/transparent_hugepage/enabled', '/sys/kernel/notes']) {
      if (!existsSync(source)) {
        t.pass(source, { skip: 'not here' })
        continue
      }
      const target = join(directory, 'target')
      // Speeds of processors change from one read to the next.
      const steady = (text: string): string => text.replace(/MHz\s*:.*/g, '')
      const { bytes } = await copyFile(source, target, { engine })
      t.equal(steady(readFileSync(target, 'latin1')), steady(readFileSync(source, 'latin1')), source)
      t.equal(bytes, statSync(target).size)
      t.ok(bytes > 0)
    }
  }, skip)
}

async function assertReflinks(t: Test, folder: string, engine: 'uring' | 'threads'): Promise<void> {
  const source = makeFile(join(folder, 'source'), 3 * MiB + 5)
  execFileSync('sync', [source.path])
  const target = join(folder, 'target')
  for (const reflink of ['always', 'auto', 'never'] as const) {
    const { method, bytes, operations } = await copyFile(source.path, target, { engine, reflink })
    t.same({ method, bytes }, { method: reflink === 'never' ? 'buffered' : 'clone', bytes: source.content.length }, reflink)
    if (reflink !== 'never') t.equal(operations, 0)
    t.equal(sha256OfFile(target), source.sha256)
  }
  await copyFile(source.path, target, { engine, atomic: true, clone: true })
  t.equal(sha256OfFile(target), source.sha256, 'a clone takes the place of what was there')
  writeFileSync(source.path, patterned(1000))
  t.equal(sha256OfFile(target), source.sha256, 'and is one of its own')
  const other = join(t.testdir(), 'other')
  t.match(await failure(source.path, other, { engine, reflink: 'always' }), { code: 'EXDEV', syscall: 'ioctl', path: source.path, dest: other })
  t.notOk(existsSync(other))
}
