// Node's permission model: what it keeps from being read, and addons.
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { Probe } from '../../lib/index.js'
import { probe } from '../../lib/index.js'
import { reportOf } from '../helpers/child.js'
import { makeFile } from '../helpers/files.js'
import { packageRoot } from '../helpers/package-root.js'
import { notUring } from '../helpers/ring-state.js'

const flag = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'

interface Report { engine: string, sha256: string, probe: Probe }

/** What a program sees that may read this package and write a directory. */
async function permitted(t: Test, ...more: string[]): Promise<Report> {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1_234_567)
  const node = [flag, '--no-warnings', `--allow-fs-read=${packageRoot}/*`, `--allow-fs-write=${directory}/*`, ...more]
  const report = await reportOf<Report>(t, new URL('./fixtures/pipe.js', import.meta.url), [source.path, join(directory, 'target')], { node })
  t.equal(report.sha256, source.sha256)
  return report
}

t.test('the addon is loaded where it may be, and probe() tells what it may read of the machine', { skip: notUring }, async t => {
  const { engine, probe: { features, ...seen } } = await permitted(t, '--allow-addons')
  t.equal(engine, 'uring')
  t.same(features, probe().features)
  t.match(seen, { available: true, reason: '', memlock: null, restrictions: { ioUringDisabled: null, seccomp: null, hugePages: null } })
})

t.test('without addons streams run on threads, and probe() says what helps', { skip: notUring }, async t => {
  const { engine, probe } = await permitted(t)
  t.equal(engine, 'threads')
  t.match(probe, { available: false, code: 'ERR_DLOPEN_DISABLED', reason: /--allow-addons/ })
})
