import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { reportOf } from '../helpers/child.js'
import { tool } from '../helpers/copy-tool.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile, makeFiles } from '../helpers/files.js'

const fixture = new URL('./fixtures/no-descriptors.js', import.meta.url)
const streams = 100

interface Report {
  opened: number
  failures: object[]
  read: { code?: string }
  written: { code?: string, path?: string }
  fromFs: object
  digests: string[]
  again: string[]
  copied: string
  descriptors: [number, number]
  usage: object
}

t.test('with no descriptor left, opening fails with EMFILE as with node:fs, and works again later', { skip: notLinux }, async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 300_000)
  const report = await reportOf<Report>(t, fixture, [source.path, directory], { wrap: ['prlimit', '--nofile=64'] })
  t.equal(report.opened + report.failures.length, streams)
  t.ok(report.opened > 10 && report.opened < 64, `${report.opened} of ${streams} streams were opened`)
  t.same(report.failures, report.failures.map(() => report.fromFs), 'the others have the error of node:fs')
  t.same(report.read, report.fromFs)
  t.equal(report.read.code, 'EMFILE')
  t.match(report.written, { code: 'EMFILE', syscall: 'open', path: join(directory, 'target') })
  t.same(report.digests, report.digests.map(() => source.sha256), 'those that were opened are read right')
  t.equal(report.digests.length, report.opened)
  t.same(report.again, Array.from({ length: 5 }, () => source.sha256), 'afterwards streams open again')
  t.equal(report.copied, source.sha256)
  t.equal(report.descriptors[1], report.descriptors[0], 'no descriptor is left open')
  t.same(report.usage, { queued: 0, inFlight: 0, ready: 0, occupancy: 0, buffersInUse: 0, filesInUse: 0 })
})

t.test('a tree is copied with fewer descriptors than it is copied with at once', { skip: notLinux }, async t => {
  const directory = t.testdir({ source: {} })
  const source = join(directory, 'source')
  const files = makeFiles(source, Array.from({ length: 150 }, (_, i) => 150_000 + i))
  execFileSync('prlimit', ['--nofile=100', 'env', '-u', 'NODE_OPTIONS', process.execPath, tool, '-q', '-r', source, join(directory, 'target')])
  for (const { path, content } of files) t.ok(readFileSync(path.replace(source, join(directory, 'target'))).equals(content))
})
