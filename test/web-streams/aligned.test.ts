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

ringTest('one of the views that begin a little behind a page is not quite filled, the others are', async t => {
  const bytes = 1 << 18
  const { file } = fileAndTarget(t, 4 * bytes)
  const read = async (place: number, start: number, views: number): Promise<number[]> => {
    const reader = createUringReadableStream(file.path, { start }).getReader({ mode: 'byob' })
    const parts: Buffer[] = []
    let memory = allocateAligned(bytes + place, 4096)
    const first = memory.byteOffset + place
    for (let i = 0; i < views; i++) {
      const { value } = await reader.read(new Uint8Array(memory.buffer, first, bytes))
      parts.push(Buffer.from(value!))
      memory = value!
    }
    t.match(await reader.read(new Uint8Array(memory.buffer, first, bytes)), { done: true })
    t.ok(Buffer.concat(parts).equals(file.content.subarray(start)))
    return parts.map(({ length }) => length)
  }
  t.same(await read(16, 0, 5), [bytes, bytes - 64, bytes, bytes, 64], "V8's place")
  t.same(await read(0, 4080, 4), [bytes, bytes - 64, bytes, bytes - 4080 + 64], 'a page, of a file from shortly before one')
  for (const place of [0, 64, 2064]) t.same(await read(place, 0, 4), [bytes, bytes, bytes, bytes], `${place} bytes behind a page`)
  t.same(await read(16, 2 * bytes, 2), [bytes, bytes], 'a view that takes the rest of the file has all of it')
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
