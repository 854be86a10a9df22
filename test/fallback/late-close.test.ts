// Kernels whose IORING_OP_CLOSE completes too early: before 5.15.90, and from 5.16 to 6.0.
import { join } from 'node:path'
import t from 'tap'
import { closesLate } from '../../lib/kernel.js'
import { runChild } from '../helpers/child.js'
import { makeFile } from '../helpers/files.js'
import { notUring } from '../helpers/ring-state.js'

t.test('the versions are those that libuv names', async t => {
  const faulty = ['4.19.0', '5.6.0', '5.10.0-32-cloud-amd64', '5.14.0-503.el9.x86_64', '5.15.0-91-generic', '5.15.89', '5.15', '5.16.0', '5.19.17', '6.0.19']
  const sound = ['5.15.90', '5.15.167.4-microsoft-standard-WSL2', '6.1.0-50-cloud-amd64', '6.12.117+deb13-cloud-amd64', '6.18.44', '7.0.0']
  t.same(faulty.filter(version => !closesLate(version)), [])
  t.same(sound.filter(version => closesLate(version)), [])
})

// Counts what threads close of the files that the ring has opened.
const counting = (release: string): string => 'data:text/javascript,' + encodeURIComponent(`import os from 'node:os'
import { syncBuiltinESMExports } from 'node:module'
os.release = () => '${release}'
syncBuiltinESMExports()
const { FileCall, loadNative } = await import('${new URL('../../lib/native.js', import.meta.url).href}')
const addon = loadNative()
const { fileCall } = addon
let closed = 0
addon.fileCall = (call, ...rest) => {
  if (call === FileCall.close) closed++
  fileCall(call, ...rest)
}
process.on('exit', () => console.error(closed))`)

for (const [release, byRing] of [['5.10.0-32-cloud-amd64', false], ['6.12.117+deb13', true]] as const) {
  const way = byRing ? 'the ring' : 'threads'
  t.test(`on a kernel that calls itself ${release} files are closed by ${way}`, { skip: notUring }, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 1_234_567)
    const { code, stdout, stderr } = await runChild(t, new URL('./fixtures/everything.js', import.meta.url), [directory],
      { node: ['--import', counting(release)] })
    t.equal(code, 0)
    const { engine, digests, left, probe } = JSON.parse(stdout)
    t.equal(engine, 'uring')
    t.same(new Set(Object.values(digests)), new Set([source.sha256]))
    t.same(left, { inFlight: 0, filesInUse: 0, buffersInUse: 0 })
    t.equal(probe.features.closesByRing, byRing)
    const ours = 10 // three readers, two writers, two Web streams, two files, and something that is looked at
    if (byRing) t.equal(stderr, '0\n')
    else t.ok(Number(stderr) >= ours, stderr)
  })

  t.test(`and node:fs in a worker warns there neither of a file that the ring opened nor of one that it opened itself (${release})`, { skip: notUring }, async t => {
    const source = makeFile(join(t.testdir(), 'source'), 100_000)
    const ended = await runChild(t, new URL('./fixtures/close-in-worker.js', import.meta.url), [source.path, release])
    t.same(ended, { code: 0, signal: null, stdout: `${source.sha256}\n`.repeat(2), stderr: '' })
  })
}
