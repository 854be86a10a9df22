import {
  closeSync, constants, existsSync, fstatSync, mkdirSync, openSync, readFileSync, rmdirSync, statSync, writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Operation } from '../../lib/index.js'
import { ops, Ring } from '../../lib/index.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { kernelBefore, notDirect, notUring, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { shapeOf, thrown, turns } from '../helpers/stream-events.js'

const ring = Ring.shared()
const FALLOC_FL_KEEP_SIZE = 1
const FALLOC_FL_PUNCH_HOLE = 2
const AT_REMOVEDIR = 0x200

/** Lends a descriptor of a file with that content. */
async function withFile(t: Test, content: Buffer, body: (fd: number, path: string) => Promise<void>): Promise<void> {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, content)
  const fd = openSync(path, 'r+')
  await body(fd, path)
  closeSync(fd)
}

ringTest('a nop completes with 0', async t => {
  t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 })
})

ringTest('read gives the bytes at a position, and fewer at the end', async t => {
  const content = patterned(10_000)
  await withFile(t, content, async fd => {
    const buffer = Buffer.alloc(4000, 'x')
    t.equal((await ring.submit(ops.read(fd, buffer, 3000))).result, 4000)
    t.ok(buffer.equals(content.subarray(3000, 7000)))
    t.equal((await ring.submit(ops.read(fd, buffer, 9000))).result, 1000)
    t.ok(buffer.equals(Buffer.concat([content.subarray(9000), content.subarray(4000, 7000)])), 'the rest is as it was')
    t.equal((await ring.submit(ops.read(fd, buffer, 10_000n))).result, 0)
  })
})

ringTest('reads and writes without a position go on from where the descriptor is', async t => {
  const content = patterned(300)
  await withFile(t, content, async (fd, path) => {
    const [first, second] = [Buffer.alloc(100), Buffer.alloc(100)]
    await ring.submit(ops.read(fd, first))
    await ring.submit(ops.read(fd, second, null))
    t.ok(Buffer.concat([first, second]).equals(content.subarray(0, 200)))
    t.equal((await ring.submit(ops.write(fd, Buffer.from('end')))).result, 3)
    t.ok(readFileSync(path).equals(Buffer.concat([content.subarray(0, 200), Buffer.from('end'), content.subarray(203)])))
  })
})

ringTest('write puts bytes at a position and nowhere else', async t => {
  const content = patterned(1000)
  const words = patterned(200, 7)
  await withFile(t, content, async (fd, path) => {
    t.equal((await ring.submit(ops.write(fd, words, 900n))).result, 200)
    t.ok(readFileSync(path).equals(Buffer.concat([content.subarray(0, 900), words])))
  })
})

ringTest('readv and writev go through their buffers in order', async t => {
  await withFile(t, Buffer.alloc(0), async (fd, path) => {
    const parts = [1, 0, 4096, 17, 100_000].map((length, i) => patterned(length, i + 1))
    const all = Buffer.concat(parts)
    t.equal((await ring.submit(ops.writev(fd, parts, 5))).result, all.length)
    t.ok(readFileSync(path).equals(Buffer.concat([Buffer.alloc(5), all])))
    const targets = [40_000, 0, 1, 80_000].map(length => Buffer.alloc(length))
    t.equal((await ring.submit(ops.readv(fd, targets, 5))).result, all.length)
    t.ok(Buffer.concat(targets).subarray(0, all.length).equals(all))
  })
})

ringTest('readv and writev of nothing complete with 0', async t => {
  await withFile(t, Buffer.from('some'), async (fd, path) => {
    t.equal((await ring.submit(ops.writev(fd, []))).result, 0)
    t.equal((await ring.submit(ops.readv(fd, [], 0))).result, 0)
    t.equal((await ring.submit(ops.write(fd, Buffer.alloc(0), 2))).result, 0)
    t.equal((await ring.submit(ops.read(fd, Buffer.alloc(0), 2))).result, 0)
    t.equal(readFileSync(path, 'utf8'), 'some')
  })
})

ringTest('fsync and fdatasync complete on a file and fail on what cannot be synced', async t => {
  await withFile(t, Buffer.from('x'), async fd => {
    t.equal((await ring.submit(ops.fsync(fd))).result, 0)
    t.equal((await ring.submit(ops.fdatasync(fd))).result, 0)
  })
  const fd = openSync('/proc/self/status', 'r')
  await t.rejects(ring.submit(ops.fsync(fd)), { code: 'EINVAL', syscall: 'fsync' })
  await t.rejects(ring.submit(ops.fdatasync(fd)), { code: 'EINVAL', syscall: 'fdatasync' })
  closeSync(fd)
})

ringTest('openat opens with flags and mode, and close closes', async t => {
  const path = join(t.testdir(), 'new')
  const { result: fd } = await ring.submit(ops.openat(path, 'wx', 0o640))
  t.equal(fstatSync(fd).ino, statSync(path).ino)
  t.equal(statSync(path).mode & 0o777, 0o640 & ~process.umask())
  t.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'), /^flags:\s+0?2\d*00\d*1$/m, 'to write only, O_CLOEXEC')
  t.equal((await ring.submit(ops.close(fd))).result, 0)
  t.throws(() => fstatSync(fd), { code: 'EBADF' })
  await t.rejects(ring.submit(ops.close(fd)), { code: 'EBADF', syscall: 'close', errno: -9, message: 'EBADF: bad file descriptor, close' })
  await t.rejects(ring.submit(ops.openat(path, 'wx')), { code: 'EEXIST', path, message: `EEXIST: file already exists, open '${path}'` })
})

ringTest('openat of a FIFO, to write, waits for its reader', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const opening = ring.submit(ops.openat(fifo, constants.O_WRONLY)).then(({ result }) => result, (error: Error) => error)
  t.equal(await Promise.race([opening, turns(20)]), undefined)
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = await opening
  t.type(writer, 'number')
  closeSync(reader)
  closeSync(writer as number)
})

ringTest('openat takes a path of bytes and a relative one', async t => {
  const path = join(t.testdir(), 'näme')
  writeFileSync(path, 'x')
  const { result: fd } = await ring.submit(ops.openat(Buffer.from(path)))
  t.equal(fstatSync(fd).ino, statSync(path).ino)
  const { result: here } = await ring.submit(ops.openat('.', constants.O_DIRECTORY))
  t.equal(fstatSync(here).ino, statSync(process.cwd()).ino)
  closeSync(fd)
  closeSync(here)
})

ringTest('statx says what fs.Stats says, by path and by descriptor', async t => {
  await withFile(t, patterned(12_345), async (fd, path) => {
    const wanted = statSync(path)
    for (const file of [path, Buffer.from(path), fd]) {
      const operation = ops.statx(file)
      await ring.submit(operation)
      const { dev, atimeMs, birthtimeMs, ctimeMs, mtimeMs, ...rest } = operation.stats
      t.match(wanted, rest, 'numbers')
      t.same([atimeMs, birthtimeMs, ctimeMs, mtimeMs].map(Math.floor),
        [wanted.atimeMs, wanted.birthtimeMs, wanted.ctimeMs, wanted.mtimeMs].map(Math.floor), 'times')
      const [major, minor] = [(wanted.dev >> 8) & 0xfff, (wanted.dev & 0xff) | ((wanted.dev >> 12) & ~0xff)]
      t.same(dev, [major, minor], 'device')
    }
  })
  const missing = join(t.testdir(), 'missing')
  await t.rejects(ring.submit(ops.statx(missing)), { code: 'ENOENT', syscall: 'stat', path: missing })
})

ringTest('a failing statx of a descriptor has the shape of fstat', async t => {
  const error = await ring.submit(ops.statx(999_999)).catch(error => error)
  t.same(shapeOf(error), shapeOf(thrown(() => fstatSync(999_999))))
})

ringTest('fallocate extends a file, keeps its size, and punches holes', async t => {
  const content = patterned(16_384)
  await withFile(t, content, async (fd, path) => {
    await ring.submit(ops.fallocate(fd, 10_000, 30_000))
    t.equal(fstatSync(fd).size, 40_000)
    await ring.submit(ops.fallocate(fd, 0, 1_000_000, FALLOC_FL_KEEP_SIZE))
    t.equal(fstatSync(fd).size, 40_000)
    t.ok(fstatSync(fd).blocks * 512 >= 1_000_000, 'the space is there')
    await ring.submit(ops.fallocate(fd, 4096, 4096, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
    const wanted = Buffer.concat([content.fill(0, 4096, 8192), Buffer.alloc(40_000 - content.length)])
    t.ok(readFileSync(path).equals(wanted))
  })
}, notDirect)

ringTest('fadvise is taken, and refused with EINVAL for advice there is not', async t => {
  await withFile(t, patterned(100_000), async fd => {
    t.equal((await ring.submit(ops.fadvise(fd, 0, 100_000, 2))).result, 0)
    await t.rejects(ring.submit(ops.fadvise(fd, 0, 100_000, 77)), { code: 'EINVAL', syscall: 'fadvise' })
  })
}, notUring)

const noFtruncate = notUring || (kernelBefore(6, 9) && 'this kernel has no ftruncate operation')

ringTest('ftruncate cuts and extends', async t => {
  const content = patterned(1000)
  await withFile(t, content, async (fd, path) => {
    await ring.submit(ops.ftruncate(fd, 300))
    t.ok(readFileSync(path).equals(content.subarray(0, 300)))
    await ring.submit(ops.ftruncate(fd, 500))
    t.ok(readFileSync(path).equals(Buffer.concat([content.subarray(0, 300), Buffer.alloc(200)])))
    await ring.submit(ops.ftruncate(fd))
    t.equal(fstatSync(fd).size, 0)
  })
}, noFtruncate)

ringTest('renameat and unlinkat move and remove, and fail in the shape of node:fs', async t => {
  const directory = t.testdir()
  const { path, content } = makeFile(join(directory, 'from'), 1000)
  const to = join(directory, 'to')
  await ring.submit(ops.renameat(path, to))
  t.notOk(existsSync(path))
  t.ok(readFileSync(to).equals(content))
  await t.rejects(ring.submit(ops.renameat(path, to)), {
    code: 'ENOENT', syscall: 'rename', path, dest: to, message: `ENOENT: no such file or directory, rename '${path}' -> '${to}'`
  })
  await ring.submit(ops.unlinkat(Buffer.from(to)))
  t.notOk(existsSync(to))
  await t.rejects(ring.submit(ops.unlinkat(to)), { code: 'ENOENT', syscall: 'unlink', path: to })
  const folder = join(directory, 'folder')
  mkdirSync(folder)
  await t.rejects(ring.submit(ops.unlinkat(folder)), { code: 'EISDIR' })
  await ring.submit(ops.unlinkat(folder, AT_REMOVEDIR))
  t.notOk(existsSync(folder))
})

ringTest('a directory that cannot be removed is an error of rmdir', async t => {
  const directory = t.testdir({ full: { file: '' } })
  for (const [name, code] of [['full', 'ENOTEMPTY'], ['full/file', 'ENOTDIR'], ['missing', 'ENOENT']]) {
    const path = join(directory, name)
    const here = await ring.submit(ops.unlinkat(path, AT_REMOVEDIR)).catch(shapeOf)
    t.same(here, shapeOf(thrown(() => rmdirSync(path))))
    t.match(here, { code, syscall: 'rmdir' })
  }
})

ringTest('also a transfer of nothing looks at its descriptor', async t => {
  await withFile(t, Buffer.alloc(10), async fd => {
    const nothing = Buffer.alloc(0)
    const transfers = (fd: number): Operation[] =>
      [ops.read(fd, nothing, 0), ops.read(fd, nothing), ops.readv(fd, [nothing], 0), ops.write(fd, nothing, 0), ops.writev(fd, [], 0), ops.writev(fd, [nothing])]
    for (const operation of transfers(fd)) t.equal((await ring.submit(operation)).result, 0)
    for (const operation of transfers(999_999)) await t.rejects(ring.submit(operation), { code: 'EBADF', syscall: operation.syscall })
  })
})

ringTest('operations on a closed descriptor fail with EBADF', async t => {
  const bad = 999_999
  const buffer = Buffer.alloc(10)
  const built = [
    ops.read(bad, buffer), ops.write(bad, buffer), ops.readv(bad, [buffer]), ops.writev(bad, [buffer]), ops.fsync(bad),
    ops.fallocate(bad, 0, 1), ops.fadvise(bad, 0, 1, 0), ops.send(bad, buffer), ops.recv(bad, buffer), ops.close(bad)
  ]
  for (const operation of built) {
    const { syscall } = operation
    await t.rejects(ring.submit(operation), { code: 'EBADF', syscall, message: `EBADF: bad file descriptor, ${syscall}` })
  }
}, notUring)
