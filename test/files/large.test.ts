import { closeSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { open, Ring } from '../../lib/index.js'
import { readPieces } from '../../lib/transfers.js'
import { border, isMarkedFile, largeMemory, length, markAt, markFile, markMemory, marks, tooSmall } from '../helpers/large-memory.js'
import { ringTest } from '../helpers/ring-state.js'

ringTest('more than one operation carries is read in pieces', async t => {
  const path = join(t.testdir(), 'sparse')
  const fd = openSync(path, 'w+')
  ftruncateSync(fd, length + 1000)
  const places = [...marks, length + 900]
  markFile(fd, places)
  const memory = largeMemory()
  const file = await open(path)
  for (const position of [0, 1000n, null]) {
    const from = Number(position ?? 0)
    const { bytesRead } = await file.read(memory, 0, length, position)
    t.equal(bytesRead, length, `at ${position}`)
    for (const mark of places) {
      const [first, last] = [Math.max(mark - from, 0), Math.min(mark - from + 100, length)]
      if (last <= first) continue
      t.ok(memory.subarray(first, last).equals(markAt(mark).subarray(first + from - mark, last + from - mark)), `mark ${mark}`)
    }
  }
  t.equal((await file.read(memory)).bytesRead, 1000, 'the position is behind what was read')
  t.equal((await file.read(memory, 0, length, 5000)).bytesRead, length - 4000, 'it ends at the end')
  await file.close()
  closeSync(fd)
}, tooSmall)

ringTest('what was read before a piece that fails is given, and the failure where that is nothing', async t => {
  const memory = largeMemory()
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
  const memory = largeMemory()
  markMemory(memory)
  const file = await open(path, 'w+')
  const { submitted } = Ring.shared().stats()
  t.equal((await file.write(memory, 0, length, 0)).bytesWritten, length)
  t.ok(Ring.shared().stats().submitted >= submitted + 2, 'in two operations at least')
  t.equal((await file.stat()).size, length)
  t.ok(isMarkedFile(file.fd))
  await file.close()
}, tooSmall)
