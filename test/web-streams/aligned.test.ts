import { closeSync, constants, openSync, readSync } from 'node:fs'
import t from 'tap'
import { allocateAligned, createUringReadableStream, Ring } from '../../lib/index.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { thrown } from '../helpers/stream-events.js'
import { fileAndTarget } from '../helpers/web-streams.js'

t.test('the memory starts on the boundary that was asked for, in every size', { skip: notUring }, async t => {
  const { engine } = Ring.shared()
  for (const alignment of [1, 2, 16, 64, 512, 4096]) {
    for (const bytes of [0, 1, 100, 4096, 65_537, 1 << 20, 40 << 20]) {
      const memory = allocateAligned(bytes, alignment)
      t.equal(memory.byteLength, bytes)
      t.ok(memory.every(byte => byte === 0))
      if (bytes > 0) t.equal(engine.pageOffset(memory) % alignment, 0, `${bytes} bytes on ${alignment}`)
    }
  }
  t.equal(engine.pageOffset(allocateAligned(1000)) % 64, 0, 'on 64 by default')
})

t.test('a bad size or alignment is refused', async t => {
  for (const [bytes, alignment, code] of [
    [-1, 64, 'ERR_OUT_OF_RANGE'], [1.5, 64, 'ERR_OUT_OF_RANGE'], ['1', 64, 'ERR_INVALID_ARG_TYPE'],
    [1, 0, 'ERR_OUT_OF_RANGE'], [1, 8192, 'ERR_OUT_OF_RANGE'], [1, 48, 'ERR_INVALID_ARG_VALUE']
  ] as [any, any, string][]) {
    t.match(thrown(() => allocateAligned(bytes, alignment)), { code })
  }
})

ringTest('the start stays where it is through BYOB reads', async t => {
  const { file } = fileAndTarget(t, 1_000_000)
  const { engine } = Ring.shared()
  const reader = createUringReadableStream(file.path).getReader({ mode: 'byob' })
  const parts: Buffer[] = []
  for (let view = allocateAligned(100_000); ;) {
    const { byteOffset } = view
    const { value, done } = await reader.read(view)
    if (done) break
    t.equal(engine.pageOffset(value) % 64, 0)
    parts.push(Buffer.from(value))
    view = new Uint8Array(value.buffer as ArrayBuffer, byteOffset, 100_000)
  }
  t.ok(Buffer.concat(parts).equals(file.content))
}, notUring)

ringTest('memory on a page takes direct reads', async t => {
  const { file } = fileAndTarget(t, 1 << 20)
  let fd: number
  try {
    fd = openSync(file.path, constants.O_RDONLY | constants.O_DIRECT)
  } catch (error) {
    t.equal((error as NodeJS.ErrnoException).code, 'EINVAL')
    return void t.pass('no direct reads', { skip: 'the file system has no O_DIRECT' })
  }
  const memory = allocateAligned(1 << 20, 4096)
  t.equal(readSync(fd, memory), 1 << 20)
  t.ok(file.content.equals(memory))
  closeSync(fd)
}, notUring)
