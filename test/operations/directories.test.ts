/** Paths that begin at an open directory. */
import fs, { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Operation } from '../../lib/index.js'
import { ops, Ring } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { ringTest, withRing } from '../helpers/ring-state.js'

const ring = Ring.shared()
const AT_REMOVEDIR = 0x200
const skip = notLinux

/** Lends two open directories, which have moved since they were opened: their descriptors alone lead there. */
async function withDirectories(t: Test, body: (fds: [one: number, two: number], places: [one: string, two: string]) => Promise<void>): Promise<void> {
  const root = t.testdir({ before: { one: {}, two: {} } })
  const fds: [number, number] = [openSync(join(root, 'before/one'), 'r'), openSync(join(root, 'before/two'), 'r')]
  renameSync(join(root, 'before'), join(root, 'now'))
  await body(fds, [join(root, 'now/one'), join(root, 'now/two')])
  for (const fd of fds) closeSync(fd)
}

/** The four, of one name that begins at that directory. */
function usesOf(path: string | Buffer, directory: number): Operation[] {
  return [
    ops.openat(path, 'r', 0, { directory }), ops.statx(path, { directory }), ops.unlinkat(path, 0, { directory }),
    ops.renameat(path, 'to', { fromDirectory: directory, toDirectory: directory })
  ]
}

ringTest('openat makes and opens files in an open directory', async t => {
  await withDirectories(t, async ([directory], [place]) => {
    for (const name of ['näme', Buffer.from('bytes'), '../two/./other']) {
      const { result: fd } = await ring.submit(ops.openat(name, 'wx', 0o640, { directory }))
      const path = join(place, name.toString())
      t.equal(fstatSync(fd).ino, statSync(path).ino, path)
      t.equal(statSync(path).mode & 0o777, 0o640 & ~process.umask())
      closeSync(fd)
    }
  })
}, skip)

ringTest('statx looks into an open directory', async t => {
  await withDirectories(t, async ([directory], [place]) => {
    writeFileSync(join(place, 'file'), 'content')
    for (const name of ['file', Buffer.from('file')]) {
      const operation = ops.statx(name, { directory })
      await ring.submit(operation)
      t.equal(operation.stats.ino, statSync(join(place, 'file')).ino)
      t.equal(operation.stats.size, 7)
    }
  })
}, skip)

ringTest('unlinkat removes files and directories of an open one', async t => {
  await withDirectories(t, async ([directory], [place]) => {
    writeFileSync(join(place, 'file'), '')
    mkdirSync(join(place, 'folder'))
    await ring.submit(ops.unlinkat('file', 0, { directory }))
    t.notOk(existsSync(join(place, 'file')))
    await ring.submit(ops.unlinkat('folder', AT_REMOVEDIR, { directory }))
    t.notOk(existsSync(join(place, 'folder')))
  })
}, skip)

ringTest('renameat takes a directory for each of its paths', async t => {
  await withDirectories(t, async ([fromDirectory, toDirectory], [from, to]) => {
    writeFileSync(join(from, 'file'), 'content')
    await ring.submit(ops.renameat('file', Buffer.from('moved'), { fromDirectory, toDirectory }))
    t.equal(readFileSync(join(to, 'moved'), 'utf8'), 'content')
    await ring.submit(ops.renameat(join(to, 'moved'), 'back', { toDirectory: fromDirectory }))
    t.equal(readFileSync(join(from, 'back'), 'utf8'), 'content')
    await ring.submit(ops.renameat('back', join(to, 'there'), { fromDirectory }))
    t.equal(readFileSync(join(to, 'there'), 'utf8'), 'content')
  })
}, skip)

ringTest('an absolute path begins at no directory', async t => {
  const path = join(t.testdir({ file: 'content' }), 'file')
  const { result: fd } = await ring.submit(ops.openat(path, 'r', 0, { directory: 999_999 }))
  t.equal(fstatSync(fd).ino, statSync(path).ino)
  closeSync(fd)
  const operation = ops.statx(Buffer.from(path), { directory: 999_999 })
  await ring.submit(operation)
  t.equal(operation.stats.size, 7)
}, skip)

ringTest('a path that begins at no directory fails by itself, whatever is given as one', async t => {
  for (const path of ['', '/no/such']) {
    const to = ops.renameat(path, '/no/such', { fromDirectory: 999_999, toDirectory: 999_999 })
    for (const operation of [...usesOf(path, 999_999).slice(0, 3), to]) {
      await t.rejects(ring.submit(operation), { code: 'ENOENT', path })
    }
  }
}, skip)

ringTest('what fails in a directory fails as the kernel has it, with the path that was given', async t => {
  await withDirectories(t, async ([directory], [place]) => {
    const noDirectory = openSync(join(place, 'file'), 'w')
    const cases: [path: string, directory: number, code: string][] = [
      ['missing', directory, 'ENOENT'], ['', directory, 'ENOENT'], ['x', 999_999, 'EBADF'], ['x', noDirectory, 'ENOTDIR']
    ]
    for (const [path, at, code] of cases) {
      for (const operation of usesOf(path, at)) {
        const { syscall } = operation
        const place = syscall === 'rename' ? `'${path}' -> 'to'` : `'${path}'`
        const error = await ring.submit(operation).catch(error => error)
        t.match(error, { code, syscall, path })
        t.ok(error.message.endsWith(`, ${syscall} ${place}`), error.message)
      }
    }
    closeSync(noDirectory)
  })
}, skip)

ringTest('a ring over functions of a caller has no open directories: ENOSYS', async t => {
  await withRing(t, { fs: { ...fs } }, async own => {
    await withDirectories(t, async ([directory], [place]) => {
      writeFileSync(join(place, 'file'), '')
      for (const operation of usesOf('file', directory)) await t.rejects(own.submit(operation), { code: 'ENOSYS', path: 'file' })
      await t.rejects(own.submit(ops.renameat(join(place, 'file'), 'x', { toDirectory: directory })), { code: 'ENOSYS' })
      t.ok(existsSync(join(place, 'file')))
    })
  })
}, skip)

ringTest('on a platform without /proc there are none either', async t => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!
  await withRing(t, { engine: 'threads' }, async threads => {
    Object.defineProperty(process, 'platform', { ...platform, value: 'freebsd' })
    try {
      for (const operation of usesOf('file', 0)) await t.rejects(threads.submit(operation), { code: 'ENOSYS' })
    } finally {
      Object.defineProperty(process, 'platform', platform)
    }
  })
})
