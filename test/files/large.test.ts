import { closeSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { open, Ring } from '../../lib/index.js'
import { readPieces } from '../../lib/transfers.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'

const GiB = 2 ** 30
const length = 2.2 * GiB >>> 12 << 12 >>> 0
const border = 0x7fff_f000 // so much one operation carries
const tooSmall = freemem() < 8 * GiB && `needs 8 GiB of free memory, there are ${(freemem() / GiB).toFixed(1)}`

ringTest('more than one operation carries is read in pieces', async t => {
  const path = join(t.testdir(), 'sparse')
  const fd = openSync(path, 'w+')
  ftruncateSync(fd, length + 1000)
  const marks = [0, border - 50, length - 100, length + 900]
  for (const mark of marks) writeSync(fd, patterned(100, mark + 1), 0, 100, mark)
  const memory = Buffer.from(new SharedArrayBuffer(length) as unknown as ArrayBuffer)
  const file = await open(path)
  for (const position of [0, 1000n, null]) {
    const from = Number(position ?? 0)
    const { bytesRead } = await file.read(memory, 0, length, position)
    t.equal(bytesRead, length, `at ${position}`)
    for (const mark of marks) {
      const [first, last] = [Math.max(mark - from, 0), Math.min(mark - from + 100, length)]
      if (last <= first) continue
      t.ok(memory.subarray(first, last).equals(patterned(100, mark + 1).subarray(first + from - mark, last + from - mark)), `mark ${mark}`)
    }
  }
  t.equal((await file.read(memory)).bytesRead, 1000, 'the position is behind what was read')
  t.equal((await file.read(memory, 0, length, 5000)).bytesRead, length - 4000, 'it ends at the end')
  await file.close()
  closeSync(fd)
}, tooSmall)

ringTest('what was read before a piece that fails is given, and the failure where that is nothing', async t => {
  const memory = new Uint8Array(new SharedArrayBuffer(length))
  const failure = Object.assign(new Error('EIO'), { errno: -5, code: 'EIO' })
  const failing = (from: number, error: Error) => async (piece: Uint8Array, at: number | bigint | null): Promise<number> => {
    if (Number(at) >= from) throw error
    return piece.byteLength
  }
  t.equal(await readPieces(memory, 0, failing(1, failure)), border)
  await t.rejects(readPieces(memory, 0, failing(0, failure)), failure)
  await t.rejects(readPieces(memory, 7, failing(8, new DOMException('now', 'AbortError'))), { name: 'AbortError', bytesRead: border })
}, tooSmall)

ringTest('more than one operation carries is written in pieces', async t => {
  const path = join(t.testdir(), 'large')
  const memory = Buffer.from(new SharedArrayBuffer(length) as unknown as ArrayBuffer)
  const marks = [0, border - 50, length - 100]
  for (const mark of marks) patterned(100, mark + 1).copy(memory, mark)
  const file = await open(path, 'w')
  const { submitted } = Ring.shared().stats()
  t.equal((await file.write(memory, 0, length, 0)).bytesWritten, length)
  t.ok(Ring.shared().stats().submitted >= submitted + 2, 'in two operations at least')
  await file.close()
  t.equal(statSync(path).size, length)
  const fd = openSync(path, 'r')
  for (const mark of marks) {
    const part = Buffer.alloc(100)
    readSync(fd, part, 0, 100, mark)
    t.ok(part.equals(patterned(100, mark + 1)), `mark ${mark}`)
  }
  closeSync(fd)
}, tooSmall)
