import { closeSync, constants, openSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createUringReadStream, open, ops, Ring } from '../../lib/index.js'
import type { Completion } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { refused } from '../helpers/ring-modes.js'
import { ringTest } from '../helpers/ring-state.js'
import { next } from '../helpers/stream-events.js'

const ioPoll = { ioPoll: true }
const skip = await refused(ioPoll)

ringTest('a polled ring completes what needs no file, and lets the event loop turn', async t => {
  const ring = new Ring(ioPoll)
  const [first] = await ring.batch([ops.nop()])
  if (first.result < 0) {
    t.equal(first.result, -os.constants.errno.EINVAL)
    t.pass('a polled NOP', { skip: 'this kernel refuses it (5.10 does)' })
    return ring.close()
  }
  let turned = false
  setImmediate(() => { turned = true })
  for (let i = 0; i < 100; i++) t.same(await ring.submit(ops.nop()), { result: 0, flags: 0 })
  t.ok(turned)
  await ring.close()
}, skip)

ringTest('a file without O_DIRECT cannot be polled, and the error says so', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 10_000)
  const fd = openSync(path, 'r')
  const ring = new Ring(ioPoll)
  await t.rejects(ring.submit(ops.read(fd, Buffer.alloc(4096), 0)), { code: 'ENOTSUP', syscall: 'read', message: /O_DIRECT.*polled IO/ })
  closeSync(fd)
  await ring.close()
}, skip)

ringTest('what cannot be polled is refused as the kernel refuses it', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 10_000)
  const fd = openSync(path, 'r+')
  const ring = new Ring(ioPoll)
  await t.rejects(ring.submit(ops.fsync(fd)), { code: 'EINVAL', syscall: 'fsync', message: 'EINVAL: invalid argument, fsync' })
  closeSync(fd)
  await ring.close()
}, skip)

ringTest('a polled ring opens no file, and the error says so', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 10_000)
  const ring = new Ring(ioPoll)
  const message = new RegExp(`^EINVAL: invalid argument, open '${path}': .*ioPoll`)
  const refusal = { code: 'EINVAL', errno: -os.constants.errno.EINVAL, syscall: 'open', path, message }
  await t.rejects(open(path, 'r', { ring }), refusal)
  await t.rejects(ring.submit(ops.openat(path)), refusal)
  t.match(await next(createUringReadStream(path, { ring }), 'error'), refusal, 'a stream cannot open its file')
  await ring.close()
}, skip)

ringTest('direct reads and writes are polled where the device can, and refused with a reason where not', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 64 * 4096)
  let fd: number
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_DIRECT)
  } catch (error) {
    return void t.pass('direct reads', { skip: (error as Error).message })
  }
  const ring = new Ring(ioPoll)
  try {
    const pieces = Array.from({ length: 64 }, () => new Uint8Array(new SharedArrayBuffer(4096)))
    const buffers = ring.registerBuffers(pieces) // such memory begins on a page, as direct IO wants it
    const reads: Promise<Completion>[] = buffers.map((buffer, i) => ring.submit(ops.readFixed(fd, buffer, i * 4096)))
    const results = await Promise.allSettled(reads)
    const refusal = results.find(result => result.status === 'rejected')
    if (refusal === undefined) {
      t.ok(Buffer.concat(pieces).equals(content))
    } else {
      t.match(refusal.reason, { code: /^(ENOTSUP|EINVAL)$/, syscall: 'read', message: /does not support polled IO/ })
      t.pass('bytes read by polling', { skip: `here they are refused: ${(refusal.reason as Error).message}` })
    }
  } finally {
    await ring.close()
    closeSync(fd)
  }
}, skip)

t.test('a polled ring closes while nothing is in flight', { skip }, async t => {
  const ring = new Ring(ioPoll)
  await ring.close()
  await t.rejects(ring.submit(ops.nop()), { code: 'ERR_INVALID_STATE' })
})
