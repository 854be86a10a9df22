/** uring-copy: what it tells while it copies and afterwards, and to whom. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startProgress } from '../../examples/copy/progress.js'
import type { Running } from '../helpers/copy-tool.js'
import { command, copy, Fifo, sha256OfFile, start, startCopy } from '../helpers/copy-tool.js'
import { notUring } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'

const MiB = 1024 ** 2
const bytes = patterned(8 * MiB)

t.test('--json prints one line of figures that agree, and nothing else', async t => {
  const dir = t.testdir({ source: bytes, folder: {} })
  const source = join(dir, 'source')
  const { code, stdout, stderr } = await copy(['--json', source, join(dir, 'folder')])
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match(stdout, /^{.*}\n$/)
  const figures = JSON.parse(stdout)
  t.equal(figures.source, source)
  t.equal(figures.target, join(dir, 'folder', 'source'))
  t.equal(figures.bytes, bytes.length)
  t.ok(figures.seconds > 0)
  // Seconds are rounded to microseconds, the rate is not.
  t.ok(Math.abs(figures.bytesPerSecond * figures.seconds / bytes.length - 1) < 0.001, `${figures.bytesPerSecond}`)
  t.match(figures.engine, /^(uring|threads)$/)
  t.same(Object.keys(figures).sort(),
    ['bytes', 'bytesPerSecond', 'engine', 'enters', 'operations', 'seconds', 'source', 'target'])
})

t.test('with --json a failure is one line of JSON as well, beside the line for people', async t => {
  const dir = t.testdir({ source: bytes, target: 'precious', folder: {} })
  const [source, target, missing, folder] = ['source', 'target', 'missing', 'folder'].map(name => join(dir, name))
  const same = `'${source}' and '${source}' are the same file`
  const cases: [args: string[], exit: number, code: string | null, message: string | RegExp][] = [
    [[missing, target], 1, 'ENOENT', `ENOENT: no such file or directory, open '${missing}'`],
    [['-r', missing, target], 1, 'ENOENT', `ENOENT: no such file or directory, open '${missing}'`],
    [[source, target], 1, 'EEXIST', `EEXIST: file already exists, open '${target}' (--force overwrites it)`],
    [['--dry-run', source, target], 1, 'EEXIST', `EEXIST: file already exists, open '${target}' (--force overwrites it)`],
    [['--force', source, source], 1, 'EINVAL', same],
    [['--force', '--dry-run', source, source], 1, 'EINVAL', same],
    [[source, source, target], 1, 'ENOTDIR', /^ENOTDIR: several files/],
    [[source, folder, folder], 1, 'EISDIR', /^EISDIR: /],
    [[source, source, folder], 1, null, /^two of the sources/],
    [[source], 2, 'ERR_USAGE', /^SOURCE and TARGET are needed/],
    [['--steam', source, target], 2, 'ERR_USAGE', /--steam/]
  ]
  for (const [args, exit, code, message] of cases) {
    const { code: ended, stdout, stderr } = await copy(['--json', ...args])
    t.equal(ended, exit, args.join(' '))
    t.match(stdout, /^{.*}\n$/)
    const told = JSON.parse(stdout)
    t.match(told, { error: { code, message } })
    t.same([Object.keys(told), Object.keys(told.error)], [['error'], ['code', 'message']])
    t.equal(stderr, `uring-copy: ${told.error.message}${exit === 2 ? ' (see uring-copy --help)' : ''}\n`)
  }
  t.equal((await copy([missing, target, '--', '--json'])).stdout, '', 'a name is no option')
})

t.test('operations and system calls are counted, and larger chunks need fewer', async t => {
  const dir = t.testdir({ source: bytes })
  const counted = async (chunkSize: string): Promise<{ operations: number, enters: number }> => {
    const { stdout } = await copy(['--json', '--chunk-size', chunkSize, join(dir, 'source'), join(dir, chunkSize)])
    return JSON.parse(stdout)
  }
  const [small, large] = [await counted('64K'), await counted('1M')]
  // A read and a write for each chunk; opening, closing and looking for the end come on top.
  t.ok(small.operations >= 2 * 128 && small.operations < 2 * 128 + 16, `${small.operations}`)
  t.ok(large.operations >= 2 * 8 && large.operations < 2 * 8 + 16, `${large.operations}`)
  for (const { operations, enters } of [small, large]) {
    if (notUring) t.equal(enters, 0, 'a ring on threads enters nothing')
    else t.ok(enters >= 1 && enters <= operations, `${enters} system calls for ${operations} operations`)
  }
})

t.test('--quiet says nothing, but for what went wrong', async t => {
  const dir = t.testdir({ source: bytes })
  const good = await copy(['--quiet', join(dir, 'source'), join(dir, 'target')])
  t.same(good, { code: 0, signal: null, stdout: '', stderr: '' })
  const bad = await copy(['--quiet', join(dir, 'source'), join(dir, 'target')])
  t.equal(bad.code, 1)
  t.match(bad.stderr, /^uring-copy: EEXIST: [^\n]*\n$/)
})

t.test('a copy that is not to be told about is not even looked at', async t => {
  const looks = { progress: 0, json: 0, quiet: 0 }
  for (const report of ['progress', 'json', 'quiet'] as const) {
    startProgress({ source: 'x', phase: null, began: 0, total: null, get bytes() { return looks[report]++ } }, report).stop()
  }
  t.ok(looks.progress > 0)
  t.equal(looks.json, 0)
  t.equal(looks.quiet, 0)
})

t.test('into a log goes a line each second, and the summary at the end', async t => {
  const dir = t.testdir({ source: bytes })
  const fifo = new Fifo(join(dir, 'target'))
  const running = startCopy(['--force', join(dir, 'source'), fifo.path])
  const first = await fifo.drain(2 * MiB)
  // Nobody takes the rest, so the copy stands: two more lines must come, each whole.
  await running.printed(/(?:[^\n]*\([12]\d%\)[^\n]*\n){2}/)
  const standing = running.stderr.split('\n').length - 1
  const rest = await fifo.drain(6 * MiB)
  const { code, stdout, stderr } = await running.ended
  fifo.close()
  t.equal(code, 0)
  t.equal(sha256(Buffer.concat([first, rest])), sha256(bytes))
  t.equal(stdout, '')
  const lines = stderr.split('\n')
  t.equal(lines.pop(), '')
  t.match(lines.pop(), /^source: 8\.0 MiB in \d+\.\d s \(\d+\.\d [KM]iB\/s\)$/)
  t.ok(lines.length >= 2)
  for (const [i, line] of lines.entries()) {
    t.match(line, /^source: [\d.]+ [KM]?i?B of 8\.0 MiB \(\d{1,3}%\), [\d.]+ [KM]?i?B\/s(, \d+:\d\d left)?$/)
    if (i < standing) t.match(line, /\([12]?\d%\)/, 'no more than was taken, and what the pipe holds')
  }
})

t.test('of a source that does not know its size the lines tell what has come', async t => {
  const dir = t.testdir()
  const fifo = new Fifo(join(dir, 'source'))
  const running = startCopy([fifo.path, join(dir, 'target')])
  await running.printed(/^source: 0 B, 0 B\/s\n/)
  await fifo.feed(bytes, running)
  await running.printed(/\nsource: [78]\.\d MiB, \d+\.\d [KM]iB\/s\n/)
  fifo.close()
  const { code, stderr } = await running.ended
  t.equal(code, 0)
  t.match(stderr, /\nsource: 8\.0 MiB in \d+\.\d s \(\d+\.\d [KM]iB\/s\)\n$/)
  t.equal(sha256OfFile(join(dir, 'target')), sha256(bytes))
})

for (const stream of ['stdout', 'stderr'] as const) {
  t.test(`the copy goes on when nobody reads ${stream} any more`, async t => {
    const dir = t.testdir()
    const fifo = new Fifo(join(dir, 'source'))
    const running = startCopy([...stream === 'stdout' ? ['--json'] : [], fifo.path, join(dir, 'target')])
    await fifo.feed(bytes, running)
    running.child[stream]!.destroy()
    fifo.close()
    const { code, signal, stderr } = await running.ended
    t.same({ code, signal }, { code: 0, signal: null })
    t.match(stderr, /^(source: [^\n]* [KM]?i?B\/s\n)*$/, 'nothing but what a second told, where it took one')
    t.equal(sha256OfFile(join(dir, 'target')), sha256(bytes))
  })
}

t.test('figures that cannot be written are a failure', async t => {
  const dir = t.testdir({ source: 'x' })
  const full = openSync('/dev/full', 'w')
  const { code, stderr } = await startCopy(['--json', join(dir, 'source'), join(dir, 'target')], {},
    { stdio: ['ignore', full, 'pipe'] }).ended
  closeSync(full)
  t.equal(code, 1)
  t.equal(stderr, 'uring-copy: ENOSPC: no space left on device, write\n')
  t.equal(statSync(join(dir, 'target')).size, 1, 'the copy itself is whole')
})

const quoted = (text: string): string => `'${text.replace(/'/g, "'\\''")}'`

/** Runs the tool on a terminal of its own. */
function startOnTerminal(columns: number, args: string[]): Running {
  const line = [...command, ...args].map(quoted).join(' ')
  return start('script', ['-qec', `stty cols ${columns}; exec ${line}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, TERM: 'xterm' }
  })
}

function whyNoTerminal(): string | false {
  try {
    execFileSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' })
    return false
  } catch (error) {
    return `script of util-linux makes the terminal, and does not run here: ${(error as Error).message}`
  }
}

/** What is on the line that a terminal was told to draw, at each time it changed. */
function frames(printed: string): string[] {
  return printed.split(/(?:\x1b\[\d*[A-Z]|\x1b[78]|\r\n)+/).filter(text => text !== '')
}

t.test('on a terminal', { skip: whyNoTerminal() }, async t => {
  t.test('a bar shows share, amount, rate and time left, and gives way to the summary', async t => {
    const dir = t.testdir({ source: bytes })
    const fifo = new Fifo(join(dir, 'target'))
    const running = startOnTerminal(100, ['--force', join(dir, 'source'), fifo.path])
    const first = await fifo.drain(2 * MiB)
    const bar = /source +([12]\d)% \[(=*)( *)\] +([\d.]+) MiB of 8\.0 MiB +[\d.]+ [KM]iB\/s +\d+:\d\d left/
    const [, percent, done, open, amount] = await running.printed(bar)
    const rest = await fifo.drain(6 * MiB)
    const { code, stdout } = await running.ended
    fifo.close()
    t.equal(code, 0)
    t.equal(sha256(Buffer.concat([first, rest])), sha256(bytes))
    t.ok(Number(percent) >= 12 && Number(percent) <= 29, percent)
    // The amount is rounded to a tenth of a MiB, the share down to a whole percent.
    t.ok(Math.abs(Number(amount) / 8 * 100 - Number(percent)) < 2, `${amount} of 8 MiB is ${percent}%`)
    t.equal(done.length, Math.floor((done.length + open.length) * Number(percent) / 100))
    const shown = frames(stdout)
    t.match(shown.pop(), /^source: 8\.0 MiB in \d+\.\d s \(\d+\.\d [KM]iB\/s\)$/)
    t.ok(shown.length >= 1)
    // Until the file is open nobody knows how much it is.
    for (const frame of shown) t.match(frame, /^source +(\d+% \[=* *\] .* left|0 B +0 B\/s)$/)
    t.match(stdout, /\x1b\[2Ksource: [^\r\n]*\r\n$/, 'the bar is taken away, and the line ended')
  })

  t.test('the bar fits', async t => {
    for (const columns of [40, 60]) {
      const dir = t.testdir({ source: bytes })
      const target = new Fifo(join(dir, 'target'))
      const running = startOnTerminal(columns, ['--force', join(dir, 'source'), target.path])
      await target.drain(2 * MiB)
      await running.printed(/\d+% .* left/)
      await target.drain(6 * MiB)
      const { stdout } = await running.ended
      target.close()
      const shown = frames(stdout).slice(0, -1)
      t.ok(shown.length >= 1)
      for (const frame of shown) t.ok(frame.length < columns, `${columns}: ${frame}`)
    }
  })

  // On threads a read of an empty FIFO cannot be stopped: the tool gives up waiting for it, and for its bar.
  t.test('Ctrl-C takes the bar away, removes the target, and leaves the terminal as it was', { skip: notUring }, async t => {
    const dir = t.testdir()
    const fifo = new Fifo(join(dir, 'source'))
    const running = startOnTerminal(80, [fifo.path, join(dir, 'target')])
    await fifo.feed(bytes, running)
    await running.printed(/[78]\.\d MiB +[\d.]+ [KM]iB\/s/)
    running.child.stdin!.write('\x03')
    const { code, stdout } = await running.ended
    fifo.close()
    t.equal(code, 130)
    t.match(stdout, /\x1b\[2Kuring-copy: interrupted by SIGINT\r\n$/)
    t.notMatch(stdout, /\x1b\[\?/, 'no mode of the terminal is changed')
    t.throws(() => statSync(join(dir, 'target')), { code: 'ENOENT' })
  })
})
