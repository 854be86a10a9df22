import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { Probe } from '../../lib/index.js'
import { runChild, reportOf } from '../helpers/child.js'
import type { ChildOptions } from '../helpers/child.js'
import { tool } from '../helpers/copy-tool.js'
import { makeFile } from '../helpers/files.js'
import { publicDirectory } from '../helpers/other-user.js'
import { notRefusing, refuse } from '../helpers/refuse-call.js'
import { notUring } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'

const everything = new URL('./fixtures/everything.js', import.meta.url)
const nobody = 65_534

interface Report {
  engine: string
  refusal: { code: string, message: string } | null
  digests: Record<string, string>
  direct: [preferred: boolean, only: boolean | string]
  probe: Probe
  batch: number[]
  left: object
}

const skip = notUring || notRefusing // what is refused here is tried there all the time

/** libuv's own ring, of Node 26, ends the process. */
const skipEnter = skip || spawnSync(refuse, ['1', 'enter', process.execPath, '-e', 'setTimeout(() => {})']).status !== 0 &&
  `Node.js ${process.version} itself aborts where io_uring_enter is refused`

async function allWays(t: Test, options: ChildOptions, user: string[] = []): Promise<Report> {
  const directory = publicDirectory(t)
  const source = makeFile(join(directory, 'source'), 1_234_567)
  const report = await reportOf<Report>(t, everything, [directory, ...user], options)
  t.same(Object.keys(report.digests), ['readable', 'leased', 'writable', 'piped', 'web', 'file', 'preferred'])
  t.same(report.direct, [true, true], 'direct IO needs no io_uring')
  for (const [way, digest] of Object.entries(report.digests)) t.equal(digest, source.sha256, way)
  t.same(report.batch, [0, 0])
  t.same(report.left, { inFlight: 0, filesInUse: 0, buffersInUse: 0 })
  return report
}

async function copies(t: Test, options: ChildOptions): Promise<void> {
  const directory = join(t.testdir(), 'copies')
  mkdirSync(directory)
  const source = makeFile(join(directory, 'source'), 1_234_567)
  const { stderr, ...ended } = await runChild(t, new URL(`file://${tool}`), ['-q', source.path, join(directory, 'copy')], options)
  t.same({ ...ended, stderr }, { code: 0, signal: null, stdout: '', stderr: '' })
  t.equal(sha256(readFileSync(join(directory, 'copy'))), source.sha256)
}

for (const call of ['setup', 'enter']) {
  for (const code of ['EPERM', 'ENOSYS', 'EINVAL', 'EOPNOTSUPP', 'ENOMEM', 'EACCES'] as const) {
    t.test(`where io_uring_${call} answers ${code}, everything runs on threads and probe() says so`, { skip: call === 'enter' ? skipEnter : skip }, async t => {
      const wrap = [refuse, String(constants.errno[code]), call]
      const { engine, probe, refusal } = await allWays(t, { wrap })
      t.equal(engine, 'threads')
      // ENOTSUP and EOPNOTSUPP are one number on Linux.
      t.match(probe, { available: false, code: code === 'EOPNOTSUPP' ? /^E(OP)?NOTSUPP?$/ : code, features: null })
      t.match(refusal, { code: 'ERR_URING_UNAVAILABLE' })
      t.ok(refusal!.message.includes(probe.reason) && probe.reason !== '', refusal!.message)
      if (code === 'EPERM') t.match(probe, { reason: /seccomp/, restrictions: { seccomp: true } })
      await copies(t, { wrap })
      const doctor = await runChild(t, new URL(`file://${tool}`), ['--doctor'], { wrap })
      t.match(doctor.stdout, /^engine +threads: io_uring is refused/)
      t.ok(doctor.stdout.includes(probe.reason), doctor.stdout)
      t.equal(doctor.code, 0)
    })
  }
}

// What the kernel does from 6.6 on where kernel.io_uring_disabled is set, without setting it for all of this machine.
const disabled = (value: number): string[] => ['--import', 'data:text/javascript,' + encodeURIComponent(`
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
const { readFileSync } = fs
fs.readFileSync = (path, ...rest) => path === '/proc/sys/kernel/io_uring_disabled' ? '${value}\\n' : readFileSync(path, ...rest)
syncBuiltinESMExports()`)]

for (const value of [1, 2]) {
  t.test(`with kernel.io_uring_disabled ${value} everything runs on threads and probe() says so`, { skip }, async t => {
    const options = { wrap: [refuse, String(constants.errno.EPERM), 'setup'], node: disabled(value) }
    const { engine, probe } = await allWays(t, options)
    t.equal(engine, 'threads')
    t.match(probe, { available: false, code: 'EPERM', restrictions: { ioUringDisabled: value } })
    t.match(probe.reason, `kernel.io_uring_disabled is ${value}; allow it by sysctl`)
    await copies(t, options)
  })
}

const notRoot = notUring || (process.getuid?.() !== 0 && 'only root can become a user whom RLIMIT_MEMLOCK binds')
t.test('with RLIMIT_MEMLOCK 0 an unprivileged user reads and writes on the engine that probe() tells', { skip: notRoot }, async t => {
  const { engine, probe } = await allWays(t, { wrap: ['prlimit', '--memlock=0:0'] }, [String(nobody)])
  t.equal(engine, probe.available ? 'uring' : 'threads')
  t.equal(probe.memlock, 0)
  if (probe.available) t.equal(probe.features!.registeredBuffers, false)
})

t.test('with RLIMIT_MEMLOCK 0 and without CAP_IPC_LOCK uring-copy copies', { skip: notRoot }, async t => {
  await copies(t, { wrap: ['prlimit', '--memlock=0:0', 'setpriv', '--bounding-set=-ipc_lock'] })
})
