import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ops, Ring } from '../../lib/index.js'
import { makeFifo, makeFile, makeFiles } from '../helpers/files.js'
import { notUring, ringTest } from '../helpers/ring-state.js'

const invalidState = { code: 'ERR_INVALID_STATE' }

ringTest('registered memory is read into and written from in place', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 300_000)
  const fd = openSync(path, 'r+')
  const ring = new Ring()
  const shared = new SharedArrayBuffer(300_000)
  const [all, part] = ring.registerBuffers([shared, new Uint8Array(new SharedArrayBuffer(9000), 1000, 5000)])
  t.same(await ring.submit(ops.readFixed(fd, all, 0)), { result: 300_000, flags: 0 })
  t.ok(Buffer.from(shared).equals(content))
  await ring.submit(ops.readFixed(fd, part, 777, { offset: 10, length: 4000 }))
  t.ok(part.bytes.subarray(10, 4010).equals(content.subarray(777, 4777)))
  all.bytes.reverse()
  await ring.submit(ops.writeFixed(fd, all, 0))
  t.ok(readFileSync(path).equals(Buffer.from(content).reverse()))
  closeSync(fd)
  await ring.close()
})

ringTest('memory that can be detached is not registered', async t => {
  const ring = new Ring()
  for (const memory of [Buffer.alloc(10), new ArrayBuffer(10), new DataView(new ArrayBuffer(10))]) {
    t.throws(() => ring.registerBuffers([new SharedArrayBuffer(10), memory]), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  t.throws(() => ring.registerBuffers([new SharedArrayBuffer(0)]), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => ring.registerBuffers(['text' as unknown as Buffer]), { code: 'ERR_INVALID_ARG_TYPE' })
  await ring.close()
})

ringTest('a registered buffer that is unregistered in flight stays until its operation has ended', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const ring = new Ring()
  const shared = new SharedArrayBuffer(100)
  const [buffer] = ring.registerBuffers([shared])
  const read = ring.submit(ops.readFixed(fifo, buffer))
  ring.unregisterBuffers([buffer])
  t.throws(() => buffer.bytes, invalidState)
  t.throws(() => ops.readFixed(fifo, buffer), invalidState)
  t.throws(() => ring.unregisterBuffers([buffer]), invalidState)
  writeSync(fifo, 'late')
  t.equal((await read).result, 4)
  t.equal(Buffer.from(shared, 0, 4).toString(), 'late')
  closeSync(fifo)
  await ring.close()
}, notUring)

ringTest('places of registered buffers are used again; there are 256', async t => {
  const ring = new Ring()
  const views = Array.from({ length: 256 }, () => new SharedArrayBuffer(4096))
  for (let round = 0; round < 3; round++) {
    const buffers = ring.registerBuffers(views)
    t.throws(() => ring.registerBuffers([new SharedArrayBuffer(1)]), { code: 'ENOBUFS', syscall: 'io_uring_register' })
    ring.unregisterBuffers(buffers)
  }
  await ring.close()
}, notUring)

ringTest('registered buffers of one ring work on another, as ordinary memory', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 5000)
  const fd = openSync(path, 'r')
  const [one, other] = [new Ring(), new Ring()]
  const [buffer] = one.registerBuffers([new SharedArrayBuffer(5000)])
  await other.submit(ops.readFixed(fd, buffer, 0))
  t.ok(buffer.bytes.equals(content))
  t.throws(() => other.unregisterBuffers([buffer]), invalidState)
  await one.close()
  await other.close()
  closeSync(fd)
})

ringTest('registered files are read, replaced and given up', async t => {
  const [first, second] = makeFiles(t.testdir(), [5000, 5001])
  const fds = [first, second].map(({ path }) => openSync(path, 'r'))
  const ring = new Ring()
  const [file] = ring.registerFiles([fds[0]])
  const buffer = Buffer.alloc(5000)
  await ring.submit(ops.read(file, buffer, 0))
  t.ok(buffer.equals(first.content))
  ring.updateFiles([file], [fds[1]])
  await ring.submit(ops.read(file, buffer, 0))
  t.ok(buffer.equals(second.content.subarray(0, 5000)))
  ring.unregisterFiles([file])
  t.equal(file.fd, -1)
  await t.rejects(ring.submit(ops.read(file, buffer, 0)), { code: 'EBADF' })
  t.throws(() => ring.unregisterFiles([file]), invalidState)
  t.throws(() => ring.updateFiles([file], [fds[0]]), invalidState)
  for (const fd of fds) closeSync(fd)
  await ring.close()
})

ringTest('what is no list of files, descriptors or buffers is refused', async t => {
  const ring = new Ring()
  const [file] = ring.registerFiles([0])
  const invalidArgType = { code: 'ERR_INVALID_ARG_TYPE' }
  const nonsense = 'text' as never
  t.throws(() => ring.registerFiles(nonsense), invalidArgType)
  t.throws(() => ring.registerFiles([nonsense]), invalidArgType)
  t.throws(() => ring.updateFiles(nonsense, []), invalidArgType)
  t.throws(() => ring.updateFiles([file], nonsense), invalidArgType)
  t.throws(() => ring.updateFiles([file], []), { code: 'ERR_OUT_OF_RANGE' })
  t.throws(() => ring.unregisterFiles([0 as never]), invalidArgType)
  t.throws(() => ring.unregisterFiles([file, file]), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => ring.registerBuffers(nonsense), invalidArgType)
  t.throws(() => ring.unregisterBuffers(nonsense), invalidArgType)
  ring.unregisterFiles([file])
  await ring.close()
})

ringTest('a file is not replaced before the operations on it have ended, in flight, behind a link or in the queue', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const { path, content } = makeFile(join(t.testdirName, 'file'), 10)
  const fd = openSync(path, 'r')
  const ring = new Ring({ entries: 4, cqEntries: 4 })
  const [waiting, linked, queued, idle] = ring.registerFiles([fifo, fd, fd, fd])
  const buffers = [Buffer.alloc(4), Buffer.alloc(10), Buffer.alloc(10)]
  const batch = ring.batch([ops.read(waiting, buffers[0]).link(), ops.read(linked, buffers[1], 0)])
  const rest = [ring.submit(ops.read(fifo, Buffer.alloc(4))), ring.submit(ops.read(queued, buffers[2], 0))]
  t.equal(ring.stats().queued, 1)
  for (const file of [waiting, linked, queued]) {
    t.throws(() => ring.updateFiles([idle, file], [fd, fd]), invalidState)
    t.throws(() => ring.unregisterFiles([idle, file]), invalidState)
  }
  ring.updateFiles([idle], [fifo])
  ring.unregisterFiles([idle])
  writeSync(fifo, 'onetwo..')
  t.same((await batch).map(({ result }) => result), [4, 10])
  await Promise.all(rest)
  t.ok(buffers.slice(1).every(buffer => buffer.equals(content)))
  ring.unregisterFiles([waiting, linked, queued])
  for (const each of [fd, fifo]) closeSync(each)
  await ring.close()
}, notUring)

ringTest('a file is not replaced before what is linked to it has begun, on either engine', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 10)
  const fds = [path, '/dev/null'].map(path => openSync(path, 'r'))
  const ring = new Ring({ entries: 4 })
  const [file] = ring.registerFiles([fds[0]])
  const buffer = Buffer.alloc(10)
  const batch = ring.batch([ops.timeout(20).hardlink(), ops.read(file, buffer, 0)])
  t.throws(() => ring.updateFiles([file], [fds[1]]), invalidState)
  t.throws(() => ring.unregisterFiles([file]), invalidState)
  t.equal((await batch)[1].result, 10)
  t.ok(buffer.equals(content))
  ring.updateFiles([file], [fds[1]])
  t.equal((await ring.submit(ops.read(file, buffer, 0))).result, 0)
  ring.unregisterFiles([file])
  for (const each of fds) closeSync(each)
  await ring.close()
})

ringTest('a registered file on another ring is the same file there', async t => {
  const [here, there] = makeFiles(t.testdir(), [3000, 3001])
  const fds = [openSync(here.path, 'r'), openSync(there.path, 'r')]
  const rings = [new Ring(), new Ring()]
  const [[file]] = rings.map((ring, i) => ring.registerFiles([fds[i]]))
  const buffer = Buffer.alloc(3000)
  await rings[1].submit(ops.read(file, buffer, 0))
  t.ok(buffer.equals(here.content))
  for (const ring of rings) await ring.close()
  for (const fd of fds) closeSync(fd)
}, notUring)

ringTest('more files than the table has places work, and a descriptor that is not open is refused', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 100)
  const fd = openSync(path, 'r')
  const ring = new Ring()
  const files = ring.registerFiles(Array<number>(300).fill(fd))
  t.ok(files.some(({ index }) => index === -1), 'the table is full')
  const buffers = files.map(() => Buffer.alloc(100))
  await Promise.all(files.map((file, i) => ring.submit(ops.read(file, buffers[i], 0))))
  t.ok(buffers.every(buffer => buffer.equals(content)))
  ring.unregisterFiles(files)
  t.equal(ring.stats().filesInUse, 0)
  t.throws(() => ring.registerFiles([fd, 1_000_000]), { code: 'EBADF' })
  t.equal(ring.stats().filesInUse, 0)
  closeSync(fd)
  await ring.close()
}, notUring)
