/** uring-copy: ended by signals. The source is a pipe that never ends, so that the copy cannot either. */
import { chmodSync, existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Running } from '../helpers/copy-tool.js'
import { Fifo, startCopy } from '../helpers/copy-tool.js'
import { notUring } from '../helpers/ring-state.js'
import { makeFifo } from '../helpers/files.js'
import { patterned } from '../helpers/seeded.js'

const bytes = patterned(1024 ** 2)

/** A copy that has read nearly all of `bytes` and waits for more. */
async function startEndless(dir: string, args: string[], engine: string, wrap: string[] = []): Promise<{ running: Running, fifo: Fifo }> {
  const fifo = new Fifo(join(dir, 'source'))
  const running = startCopy([...args, fifo.path, join(dir, 'target')], { URING_STREAMS_ENGINE: engine }, { wrap })
  await fifo.feed(bytes, running)
  return { running, fifo }
}

for (const [signal, exitCode] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  t.test(`${signal} in the middle removes the target, and the exit code is ${exitCode}`, { skip: notUring }, async t => {
    const dir = t.testdir()
    const { running, fifo } = await startEndless(dir, ['--quiet'], 'uring')
    t.ok(existsSync(join(dir, 'target')), 'the copy is in its middle')
    running.child.kill(signal)
    const outcome = await running.ended
    fifo.close()
    t.same(outcome, { code: exitCode, signal: null, stdout: '', stderr: `uring-copy: interrupted by ${signal}\n` })
    t.notOk(existsSync(join(dir, 'target')))
  })
}

t.test('a signal that comes twice at once, as by npm run, leaves it the time to stop by itself', { skip: notUring }, async t => {
  const dir = t.testdir()
  const { running, fifo } = await startEndless(dir, ['--quiet'], 'uring')
  running.child.kill('SIGINT')
  running.child.kill('SIGTERM') // two of a kind may be one, and either may be the first
  const { code, signal, stderr } = await running.ended
  fifo.close()
  const [, told] = /^uring-copy: interrupted by (SIG\w+)\n$/.exec(stderr) ?? []
  // Ended at once it would be by the one that it has told of. One that comes while Node.js itself ends is the system's to handle.
  t.ok(code === 130 || code === 143 || (told !== undefined && signal !== null && signal !== told), `code ${code}, signal ${signal}, told of ${told}`)
  t.notOk(existsSync(join(dir, 'target')))
})

t.test('with --force, what was overwritten in part is removed too', { skip: notUring }, async t => {
  const dir = t.testdir({ target: 'old' })
  const { running, fifo } = await startEndless(dir, ['--force', '--json'], 'uring')
  running.child.kill('SIGINT')
  const { code, stdout } = await running.ended
  fifo.close()
  t.equal(code, 130)
  t.same(JSON.parse(stdout), { error: { code: 'SIGINT', message: 'interrupted by SIGINT' } })
  t.notOk(existsSync(join(dir, 'target')))
})

t.test('what was overwritten in part and cannot be removed is told of', { skip: notUring }, async t => {
  const dir = t.testdir({ target: 'old' })
  const target = join(dir, 'target')
  // Root that obeys permissions. Another user may not be able to read the tool, in a directory of root's.
  const wrap = process.getuid!() === 0 ? ['setpriv', '--bounding-set=-dac_override'] : []
  const { running, fifo } = await startEndless(dir, ['--force', '--quiet'], 'uring', wrap)
  chmodSync(dir, 0o555)
  running.child.kill('SIGINT')
  const { code, stderr } = await running.ended
  fifo.close()
  chmodSync(dir, 0o755)
  t.equal(code, 130)
  t.equal(stderr, `uring-copy: interrupted by SIGINT (the partial target is still there: EACCES: permission denied, unlink '${target}')\n`)
})

t.test('a copy that cannot stop is ended, and its target removed', async t => {
  const dir = t.testdir()
  // A read in a thread cannot be cancelled: it waits for a byte that does not come.
  const { running, fifo } = await startEndless(dir, [], 'threads')
  await running.printed(/^source: 1\.0 MiB, /m) // everything, and so it has begun that read
  running.child.kill('SIGTERM')
  const { code, signal, stderr } = await running.ended
  fifo.close()
  t.same({ code, signal }, { code: null, signal: 'SIGTERM' }, 'a shell makes 143 of it')
  t.match(stderr, /\nuring-copy: interrupted by SIGTERM\n$/)
  t.notOk(existsSync(join(dir, 'target')))
})

t.test('one that is ended tells programs by what', async t => {
  const dir = t.testdir()
  const { running, fifo } = await startEndless(dir, ['--json'], 'threads')
  running.child.kill('SIGTERM')
  const { code, signal, stdout, stderr } = await running.ended
  fifo.close()
  t.ok(signal === 'SIGTERM' || code === 143, 'it may have been told before it began the read that does not stop')
  t.same(JSON.parse(stdout), { error: { code: 'SIGTERM', message: 'interrupted by SIGTERM' } })
  t.equal(stderr, 'uring-copy: interrupted by SIGTERM\n')
})

t.test('a copy that cannot even open its source is ended, and touches no target', async t => {
  const dir = t.testdir({ target: 'precious' })
  // Nobody will write, and so opening it waits: in a thread. io_uring opens it at once and waits for bytes.
  makeFifo(join(dir, 'source'))
  const running = startCopy(['--force', join(dir, 'source'), join(dir, 'target')], { URING_STREAMS_ENGINE: 'threads' })
  await running.printed(/^source: 0 B, 0 B\/s\n/)
  running.child.kill('SIGINT')
  const { code, signal } = await running.ended
  t.same({ code, signal }, { code: null, signal: 'SIGINT' }, 'a shell makes 130 of it')
  t.equal(readFileSync(join(dir, 'target'), 'utf8'), 'precious')
})

t.test('a file that has taken the place of the target meanwhile stays', { skip: notUring }, async t => {
  const dir = t.testdir({ other: 'precious' })
  const { running, fifo } = await startEndless(dir, ['--quiet'], 'uring')
  renameSync(join(dir, 'other'), join(dir, 'target'))
  running.child.kill('SIGINT')
  const { code } = await running.ended
  fifo.close()
  t.equal(code, 130)
  t.equal(readFileSync(join(dir, 'target'), 'utf8'), 'precious')
})
