import t from 'tap'
import { BufferPool, ops, Ring } from '../../lib/index.js'
import { ringTest, withRing } from '../helpers/ring-state.js'

const type = { code: 'ERR_INVALID_ARG_TYPE' }
const range = { code: 'ERR_OUT_OF_RANGE' }
const value = { code: 'ERR_INVALID_ARG_VALUE' }
const state = { code: 'ERR_INVALID_STATE' }
const bytes = Buffer.alloc(8)
/** For what the types forbid. */
const wrong = (given: unknown): any => given

t.test('builders refuse descriptors that are none', async t => {
  for (const fd of ['1', null, undefined, {}, [], true]) {
    t.throws(() => ops.read(wrong(fd), bytes), type, `${JSON.stringify(fd)}`)
    t.throws(() => ops.close(wrong(fd)), type)
    t.throws(() => ops.splice(wrong(fd), null, 1, null, 1), type)
  }
  for (const fd of [-1, 1.5, 2 ** 31, NaN]) {
    t.throws(() => ops.write(fd, bytes), range, `${fd}`)
    t.throws(() => ops.splice(fd, null, 1, null, 1), range)
  }
})

t.test('builders refuse directories that are no descriptors', async t => {
  const builds: [name: string, build: (fd: any) => unknown][] = [
    ['directory', fd => ops.openat('x', 'r', 0o666, { directory: fd })],
    ['directory', fd => ops.statx('x', { directory: fd })],
    ['directory', fd => ops.unlinkat('x', 0, { directory: fd })],
    ['fromDirectory', fd => ops.renameat('x', 'y', { fromDirectory: fd })],
    ['toDirectory', fd => ops.renameat('x', 'y', { toDirectory: fd })]
  ]
  for (const [name, build] of builds) {
    const message = new RegExp(`"options.${name}"`)
    for (const fd of ['1', null, {}, { fd: 1, index: 0 }]) t.throws(() => build(fd), { ...type, message }, name)
    for (const fd of [-1, -100, 1.5, 2 ** 31]) t.throws(() => build(fd), { ...range, message }, name)
  }
})

t.test('builders refuse what is no memory', async t => {
  for (const memory of ['text', 5, null, undefined, {}, [1]]) {
    t.throws(() => ops.read(0, wrong(memory)), type)
    t.throws(() => ops.write(0, wrong(memory)), type)
    t.throws(() => ops.send(0, wrong(memory)), type)
    t.throws(() => ops.writev(0, [bytes, wrong(memory)]), type)
  }
  t.throws(() => ops.readv(0, wrong(bytes)), type, 'a vector is an array')
  t.throws(() => ops.writev(0, wrong('abc')), type)
})

t.test('builders refuse memory that was detached', async t => {
  const memory = new ArrayBuffer(8)
  const views = [memory, new Uint8Array(memory), new DataView(memory), new Float64Array(memory), Buffer.from(memory)]
  structuredClone(memory, { transfer: [memory] })
  const detached = { ...state, message: /detached/ }
  for (const view of views) {
    const { name } = view.constructor
    for (const build of [ops.read, ops.write, ops.send, ops.recv]) t.throws(() => build(0, view), detached, name)
    for (const build of [ops.readv, ops.writev]) t.throws(() => build(0, [bytes, view]), detached, name)
  }
})

/** 2 GiB that are never touched; a machine that has less may refuse them all the same, then the error. */
function hugeMemory(): SharedArrayBuffer | Error {
  try {
    return new SharedArrayBuffer(2 ** 31)
  } catch (error) {
    return error as Error
  }
}

t.test('messages of more than one operation carries are refused', async t => {
  const huge = hugeMemory()
  if (huge instanceof Error) return void t.pass('2 GiB', { skip: huge.message })
  t.throws(() => ops.send(0, huge), range)
  t.throws(() => ops.recv(0, huge), range)
})

t.test('builders refuse positions and lengths out of range', async t => {
  for (const position of [-1, 1.5, 2 ** 53, -1n, 2n ** 63n, NaN, Infinity]) {
    t.throws(() => ops.read(0, bytes, position), range, `${position}`)
    t.throws(() => ops.writev(0, [bytes], position), range)
  }
  t.throws(() => ops.read(0, bytes, wrong('1')), type)
  t.throws(() => ops.fallocate(0, 0, 0), range)
  t.throws(() => ops.fallocate(0, -1, 1), range)
  t.throws(() => ops.fallocate(0, 0, 1, -1), range)
  t.throws(() => ops.fadvise(0, 0, 2 ** 32, 0), range)
  t.throws(() => ops.fadvise(0, 0, 1, 2 ** 16), range)
  t.throws(() => ops.ftruncate(0, -1), range)
  for (const none of [null, '0']) {
    t.throws(() => ops.ftruncate(0, wrong(none)), type, 'null is no length: on threads it would empty the file')
    t.throws(() => ops.fallocate(0, wrong(none), 1), type)
    t.throws(() => ops.fadvise(0, wrong(none), 1, 0), type)
  }
  t.throws(() => ops.splice(0, -5, 1, null, 1), range)
  t.throws(() => ops.splice(0, null, 1, null, 2 ** 32), range)
  t.throws(() => ops.send(0, bytes, 2 ** 16), range)
  t.throws(() => ops.recv(0, bytes, -1), range)
  for (const flags of [1, 2 ** 16]) t.throws(() => ops.unlinkat('x', flags), { code: 'ERR_INVALID_ARG_VALUE' })
})

t.test('builders refuse paths that node:fs refuses', async t => {
  for (const path of [5, null, undefined, {}]) {
    for (const build of [ops.openat, ops.unlinkat, (path: string) => ops.renameat('x', path), (path: string) => ops.renameat(path, 'x')]) {
      t.throws(() => build(wrong(path)), type)
    }
  }
  for (const path of ['a\0b', Buffer.from('a\0b')]) {
    t.throws(() => ops.openat(path), value)
    t.throws(() => ops.statx(path), value)
    t.throws(() => ops.renameat('x', path), value)
  }
  t.throws(() => ops.openat('x', 'rubbish'), value)
})

t.test('timeouts refuse times and counts that are none', async t => {
  for (const milliseconds of [-1, NaN, Infinity]) {
    t.throws(() => ops.timeout(milliseconds), range, `${milliseconds}`)
    t.throws(() => ops.linkTimeout(milliseconds), range)
  }
  t.throws(() => ops.timeout(wrong('5')), type)
  t.throws(() => ops.timeout(5, { count: -1 }), range)
  t.throws(() => ops.timeout(5, { count: 1.5 }), range)
})

ringTest('submit and batch refuse what is no operation, and operations that were submitted', async t => {
  const ring = Ring.shared()
  for (const operation of [undefined, null, {}, 'nop', ops]) {
    await t.rejects(ring.submit(wrong(operation)), type)
    t.throws(() => ring.submit(wrong(operation), () => {}), type)
    await t.rejects(ring.batch([ops.nop(), wrong(operation)]), type)
  }
  await t.rejects(ring.batch(wrong(ops.nop())), type)
  const nop = ops.nop()
  await ring.submit(nop)
  await t.rejects(ring.submit(nop), state)
  await t.rejects(ring.batch([ops.nop(), nop]), state)
  const twice = ops.nop()
  await t.rejects(ring.batch([twice, ops.nop(), twice]), state, 'the same twice in one batch')
})

ringTest('a refused batch leaves its operations as they were', async t => {
  const ring = Ring.shared()
  const good = ops.nop()
  const { submitted } = ring.stats()
  await t.rejects(ring.batch([good, wrong(null)]), type)
  t.equal(ring.stats().submitted, submitted, 'nothing was submitted')
  t.same(await ring.batch([good]), [{ result: 0, flags: 0 }])
})

ringTest('a signal must be one', async t => {
  for (const signal of [{}, 'abort', 5, null]) {
    await t.rejects(Ring.shared().submit(ops.nop(), { signal: wrong(signal) }), type)
    await t.rejects(Ring.shared().batch([ops.nop()], { signal: wrong(signal) }), type)
  }
})

t.test('a closed ring refuses operations and pools, and holds nothing of them', async t => {
  const ring = new Ring()
  await ring.close()
  await t.rejects(ring.submit(ops.nop()), state)
  await t.rejects(ring.submit(ops.read(0, bytes)), state)
  t.throws(() => ring.submit(ops.write(1, bytes), () => {}), state)
  await t.rejects(ring.batch([ops.read(0, bytes), ops.nop()]), state)
  t.throws(() => new BufferPool(ring, { bufferSize: 10, count: 1 }), state)
})

t.test('pools refuse sizes and counts out of range', async t => {
  await withRing(t, {}, async ring => {
    for (const size of [0, -1, 1.5, 2 ** 31]) t.throws(() => new BufferPool(ring, { bufferSize: size, count: 1 }), range)
    for (const count of [0, -1, 1.5]) t.throws(() => new BufferPool(ring, { bufferSize: 1, count }), range)
    t.throws(() => new BufferPool(ring, { bufferSize: wrong('1'), count: 1 }), type)
  })
})
