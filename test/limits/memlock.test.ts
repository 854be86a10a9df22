import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { probe } from '../../lib/index.js'
import type { Probe } from '../../lib/index.js'
import { reportOf } from '../helpers/child.js'
import { makeFile } from '../helpers/files.js'
import { publicDirectory } from '../helpers/other-user.js'
import { notUring } from '../helpers/ring-state.js'

const fixture = new URL('./fixtures/with-limits.js', import.meta.url)
const nobody = 65_534
const memlock = 64 * 1024
/** A segment of the arena is 2 MiB; a ring comes to it. */
const registeringBytesMin = 4 << 20
const wrap = ['prlimit', `--memlock=${memlock}:${memlock}`]
const skip = notUring ||
  (process.getuid?.() !== 0 && 'only root can become a user whom RLIMIT_MEMLOCK binds') ||
  (probe().features?.registeredBuffers !== true && 'this kernel registers no buffers, with or without a limit')

interface Report {
  uid: number
  probe: Probe
  digests: string[]
  buffersMost: number
  engine: string
  left: object
}

/** The limit of this process, which its children have where no other is set. */
function ownLimit(): number {
  const report = process.report!.getReport() as { userLimits?: { max_locked_memory_bytes?: { soft: number | string } } }
  const { soft = 0 } = report.userLimits?.max_locked_memory_bytes ?? {}
  return soft === 'unlimited' ? Infinity : Number(soft)
}

/** Streams of an unprivileged user on a ring of so many entries ('' for the shared one); they must have read and written right. */
async function unprivileged(t: Test, entries: string, wrap: string[]): Promise<Report> {
  const directory = publicDirectory(t)
  const source = makeFile(join(directory, 'source'), 3_000_001)
  const report = await reportOf<Report>(t, fixture, [directory, String(nobody), entries], { wrap })
  t.equal(report.uid, nobody)
  t.equal(report.digests.length, 5)
  t.same(report.digests, report.digests.map(() => source.sha256))
  t.same(report.left, { buffersInUse: 0, filesInUse: 0, inFlight: 0 })
  return report
}

t.test('with RLIMIT_MEMLOCK of 64 KiB a small ring works with buffers that are not registered', { skip }, async t => {
  const report = await unprivileged(t, '64', wrap)
  t.match(report, { engine: 'uring', probe: { available: true, reason: '', code: '', features: { registeredBuffers: false } } })
  t.ok(report.buffersMost > 0, `${report.buffersMost} buffers of the arena were in use`)
})

t.test('with RLIMIT_MEMLOCK of 64 KiB the shared ring runs on the engine that probe() tells', { skip }, async t => {
  const report = await unprivileged(t, '', wrap)
  t.equal(report.engine, report.probe.available ? 'uring' : 'threads')
  if (report.probe.available) t.equal(report.probe.features!.registeredBuffers, false)
  else t.match(report.probe, { code: 'ENOMEM', reason: /RLIMIT_MEMLOCK/ })
})

const tooSmall = ownLimit() < registeringBytesMin && `this process's own limit is ${ownLimit()} bytes`
t.test('with a larger RLIMIT_MEMLOCK the same user has registered buffers', { skip: skip || tooSmall }, async t => {
  const report = await unprivileged(t, '', [])
  t.match(report, { engine: 'uring', probe: { available: true, features: { registeredBuffers: true } } })
  t.ok(report.buffersMost > 0, `${report.buffersMost} buffers of the arena were in use`)
})
