import { closeSync, openSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import type { Operation } from '../../lib/index.js'
import { ops, Ring } from '../../lib/index.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { turns } from '../helpers/stream-events.js'

const ring = Ring.shared()
const MSG_PEEK = 2

/** Two ends of a connection, which node itself does not read. */
async function withPair(body: (near: Socket, far: Socket) => Promise<void>): Promise<void> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  near.pause()
  const [[far]] = await Promise.all([once(server, 'connection') as Promise<Socket[]>, once(near, 'connect')])
  await body(near, far)
  const closed = Promise.all([once(near, 'close'), once(far, 'close'), once(server, 'close')])
  near.destroy()
  far.destroy()
  server.close()
  await closed
}

function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd
}

/** The error of an operation whose signal comes when the kernel may already have done it. */
async function abortedAtOnce(operation: Operation): Promise<Error> {
  const controller = new AbortController()
  const ended = ring.submit(operation, { signal: controller.signal }).then(() => { throw new Error('it was not aborted') }, error => error)
  controller.abort()
  return ended
}

ringTest('send and recv move bytes over a connection', async t => {
  await withPair(async (near, far) => {
    const words = patterned(5000)
    const buffer = Buffer.alloc(6000)
    const received = ring.submit(ops.recv(fdOf(far), buffer))
    await turns(2)
    t.equal(ring.stats().inFlight, 1, 'it waits')
    t.equal((await ring.submit(ops.send(fdOf(near), words))).result, 5000)
    t.equal((await received).result, 5000)
    t.ok(buffer.subarray(0, 5000).equals(words))
  })
}, notUring)

ringTest('flags of recv reach the kernel', async t => {
  await withPair(async (near, far) => {
    await ring.submit(ops.send(fdOf(near), Buffer.from('peeked')))
    for (const flags of [MSG_PEEK, MSG_PEEK, 0]) {
      const buffer = Buffer.alloc(6)
      t.equal((await ring.submit(ops.recv(fdOf(far), buffer, flags))).result, 6)
      t.equal(buffer.toString(), 'peeked')
    }
    near.end()
    t.equal((await ring.submit(ops.recv(fdOf(far), Buffer.alloc(6)))).result, 0, 'the end')
  })
}, notUring)

ringTest('a recv that waits is aborted by its signal', async t => {
  await withPair(async (_near, far) => {
    const controller = new AbortController()
    const received = ring.submit(ops.recv(fdOf(far), Buffer.alloc(6)), { signal: controller.signal })
    await turns(2)
    controller.abort()
    await t.rejects(received, { code: 'ABORT_ERR' })
  })
}, notUring)

ringTest('transfers that were aborted too late tell how much they moved', async t => {
  await withPair(async (near, far) => {
    const buffer = Buffer.alloc(6)
    const told = [await abortedAtOnce(ops.send(fdOf(near), Buffer.from('words.')))]
    near.end(Buffer.from('more..'))
    await once(near, 'finish')
    told.push(await abortedAtOnce(ops.recv(fdOf(far), buffer)))
    t.equal(buffer.toString(), 'words.')
    told.push(await abortedAtOnce(ops.read(fdOf(far), buffer)))
    t.equal(buffer.toString(), 'more..')
    t.match(told, [{ bytesWritten: 6 }, { bytesRead: 6 }, { bytesRead: 6 }])
    const source = openSync(makeFile(join(t.testdir(), 'file'), 6).path, 'r')
    t.notOk('bytesRead' in await abortedAtOnce(ops.read(source, buffer, 0)), 'what is read at a position is still there')
    closeSync(source)
  })
}, notUring)

ringTest('send and recv on what is no socket fail in the shape of node', async t => {
  const fd = openSync('/dev/null', 'r+')
  await t.rejects(ring.submit(ops.send(fd, Buffer.alloc(1))), { code: 'ENOTSOCK', syscall: 'send' })
  await t.rejects(ring.submit(ops.recv(fd, Buffer.alloc(1))), { code: 'ENOTSOCK', syscall: 'recv' })
  closeSync(fd)
}, notUring)

ringTest('splice moves bytes through a pipe between files', async t => {
  const directory = t.testdir()
  const { path, content } = makeFile(join(directory, 'from'), 30_000)
  const to = join(directory, 'to')
  const [source, target, pipe] = [openSync(path, 'r'), openSync(to, 'w'), openSync(makeFifo(join(directory, 'fifo')), 'r+')]
  t.equal((await ring.submit(ops.splice(source, 5000, pipe, null, 20_000))).result, 20_000)
  t.equal((await ring.submit(ops.splice(pipe, null, target, 7, 20_000))).result, 20_000)
  t.ok(readFileSync(to).equals(Buffer.concat([Buffer.alloc(7), content.subarray(5000, 25_000)])))
  const own = [await ring.submit(ops.splice(source, null, pipe, null, 1000)), await ring.submit(ops.splice(pipe, null, target, 0, 1000))]
  t.same(own.map(({ result }) => result), [1000, 1000])
  t.ok(readFileSync(to).subarray(0, 1000).equals(content.subarray(0, 1000)), 'null is the file\'s own position')
  await t.rejects(ring.submit(ops.splice(source, 0, target, 0, 10)), { code: 'EINVAL', syscall: 'splice' })
  for (const fd of [source, target, pipe]) closeSync(fd)
}, notUring)

// Its address was left as the operation before it had it in the same place of the shared memory: far beyond the end.
ringTest('splice from position 0 begins there, whatever was asked for before', async t => {
  const fifo = openSync(makeFifo(join(t.testdir(), 'fifo')), 'r+')
  const { path, content } = makeFile(join(t.testdirName, 'file'), 5000)
  const fd = openSync(path, 'r')
  const ring = new Ring({ entries: 2, cqEntries: 2 })
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 2; i++) await ring.submit(ops.read(fd, new Uint8Array(new SharedArrayBuffer(100)), 0))
    t.equal((await ring.submit(ops.splice(fd, 0, fifo, null, 1000))).result, 1000)
    const buffer = Buffer.alloc(1000)
    await ring.submit(ops.read(fifo, buffer))
    t.ok(buffer.equals(content.subarray(0, 1000)))
  }
  await ring.close()
  for (const each of [fd, fifo]) closeSync(each)
}, notUring)
