// One lane of a copy, over an engine that answers as it is told to.
import { constants } from 'node:os'
import t from 'tap'
import type { Files } from '../../lib/copy-transfer.js'
import { Lane } from '../../lib/copy-transfer.js'
import type { Request } from '../../lib/engine.js'
import { Opcode } from '../../lib/engine.js'
import { HeapBuffer } from '../../lib/heap-buffer.js'
import type { Ring } from '../../lib/ring.js'

const { ECANCELED, EINTR } = constants.errno

/** What was started: which of the two, where and how much, and whether as a pair. */
interface Started { read: boolean, position: number, offset: number, length: number, linked: boolean }

/** A lane over a ring whose requests end with the given results, in order; a pair takes two. */
function scripted(results: number[]): { lane: Lane, started: Started[] } {
  const started: Started[] = []
  const end = (request: Request): void => {
    const { opcode, position, offset, length, flags } = request
    started.push({ read: opcode === Opcode.read, position: Number(position), offset, length, linked: flags !== 0 })
    const result = results.shift()!
    setImmediate(() => request.completed(result, 0))
  }
  const ring = {
    start(request: Request): void {
      const chain = request.chain ?? [request]
      for (const each of chain) each.chain = null
      chain.forEach(end)
    }
  } as unknown as Ring
  const file = { fd: 0, index: -1 }
  const files: Files = {
    ring, source: file, target: file, sourcePath: 'source', targetPath: 'target', sourceSeeks: true, targetSeeks: true, targetIsFile: true,
    units: { read: 1, write: 1, follows: false }, cached: async () => null, tails: [], uncached: false, operations: 0
  }
  return { lane: new Lane(files, new HeapBuffer(100)), started }
}

t.test('a read of a pair that was interrupted starts again by itself, and the write follows it', async t => {
  const { lane, started } = scripted([-EINTR, -ECANCELED, 100, 100])
  t.same(await lane.carry(5000, 100, true), { position: 5000, length: 100, bytes: 100 })
  t.same(started, [
    { read: true, position: 5000, offset: 0, length: 100, linked: true },
    { read: false, position: 5000, offset: 0, length: 100, linked: false },
    { read: true, position: 5000, offset: 0, length: 100, linked: false },
    { read: false, position: 5000, offset: 0, length: 100, linked: false }
  ])
})

t.test('a write of a pair that was interrupted starts again', async t => {
  const { lane, started } = scripted([100, -EINTR, 100])
  t.same(await lane.carry(0, 100, true), { position: 0, length: 100, bytes: 100 })
  t.same(started.slice(2), [{ read: false, position: 0, offset: 0, length: 100, linked: false }])
})

t.test('a short write of a pair goes on where it stopped, a short read too', async t => {
  const short = scripted([100, 30, 70])
  t.equal((await short.lane.carry(1000, 100, true)).bytes, 100)
  t.same(short.started.slice(2), [{ read: false, position: 1030, offset: 30, length: 70, linked: false }])
  const ended = scripted([40, -ECANCELED, 60, 100])
  t.equal((await ended.lane.carry(1000, 100, true)).bytes, 100)
  t.same(ended.started.slice(2), [
    { read: true, position: 1040, offset: 40, length: 60, linked: false },
    { read: false, position: 1000, offset: 0, length: 100, linked: false }
  ])
})
