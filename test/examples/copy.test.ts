/** uring-copy: what arrives, and what is refused. */
import { execFileSync } from 'node:child_process'
import {
  appendFileSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Copy } from '../../examples/copy/copy.js'
import { probe } from '../../lib/index.js'
import { copy, copyAfter, sha256OfFile } from '../helpers/copy-tool.js'
import { patterned, sha256 } from '../helpers/seeded.js'

const bytes = patterned(5_000_001)
const usual = { chunkSize: 64 * 1024, depth: 4, force: false, report: 'quiet' } as const

t.test('the target has every byte of the source', async t => {
  const dir = t.testdir({ source: bytes })
  const { code, stdout } = await copy([join(dir, 'source'), join(dir, 'target')])
  t.equal(code, 0)
  t.equal(stdout, '')
  t.equal(sha256OfFile(join(dir, 'target')), sha256(bytes))
})

t.test('chunk size and depth do not change what arrives', async t => {
  const dir = t.testdir({ source: bytes })
  for (const [chunkSize, depth] of [['4096', '1'], ['100001', '3'], ['64k', '64'], ['1M', '2'], ['1G', '1']]) {
    const target = join(dir, `target-${chunkSize}`)
    const { code, stderr } = await copy(['--chunk-size', chunkSize, '--depth', depth, join(dir, 'source'), target])
    t.equal(code, 0, stderr)
    t.equal(sha256OfFile(target), sha256(bytes))
  }
})

t.test('an empty file is copied', async t => {
  const dir = t.testdir({ source: '' })
  const { code, stderr } = await copy([join(dir, 'source'), join(dir, 'target')])
  t.equal(code, 0)
  t.match(stderr, /^source: 0 B in [\d.:]+( ms| s)? \(0 B\/s\)\n(?![^])/m, 'behind what each second told, if it took one')
  t.equal(statSync(join(dir, 'target')).size, 0)
})

const sizeless = '/proc/version'
const noProc = existsSync(sizeless) ? false : `there is no ${sizeless} here`
t.test('a file that does not know its size is copied', { skip: noProc }, async t => {
  const source = sizeless
  const target = join(t.testdir(), 'target')
  t.equal(statSync(source).size, 0)
  const { code, stderr } = await copy([source, target])
  t.equal(code, 0)
  t.match(stderr, /^version: \d+ B in /m)
  t.equal(readFileSync(target, 'utf8'), readFileSync(source, 'utf8'))
})

t.test('a file that grows meanwhile is copied to its new end, and its size is no longer known', async t => {
  const dir = t.testdir({ source: bytes })
  const source = join(dir, 'source')
  const running = new Copy({ ...usual, source, target: join(dir, 'target') })
  const result = running.run(new AbortController().signal)
  while (running.total === null) await setImmediate()
  t.equal(running.total, bytes.length)
  appendFileSync(source, bytes)
  t.equal((await result).bytes, 2 * bytes.length)
  t.equal(running.total, null)
  t.equal(sha256OfFile(join(dir, 'target')), sha256OfFile(source))
})

t.test('into a directory the file goes under its own name', async t => {
  const dir = t.testdir({ source: bytes, backup: {} })
  const { code } = await copy([join(dir, 'source'), join(dir, 'backup')])
  t.equal(code, 0)
  t.equal(sha256OfFile(join(dir, 'backup', 'source')), sha256(bytes))
  const again = await copy([join(dir, 'source'), `${join(dir, 'backup')}/`])
  t.equal(again.code, 1)
  t.match(again.stderr, `open '${join(dir, 'backup', 'source')}'`)
})

const modeOf = (path: string): string => statSync(path).mode.toString(8)

t.test('the mode bits of a new file, and of one that was there, are what cp makes them', async t => {
  const dir = t.testdir({ source: 'x' })
  const at = (name: string): string => join(dir, name)
  for (const [mode, umask] of [['0644', '022'], ['0755', '027'], ['0777', '077'], ['0400', '022'], ['4755', '000']]) {
    execFileSync('chmod', [mode, at('source')])
    execFileSync('sh', ['-c', `umask ${umask}; cp "$1" "$2"`, 'sh', at('source'), at(`cp-${mode}`)])
    const { code, stderr } = await copyAfter(`umask ${umask}`, [at('source'), at(`ours-${mode}`)])
    t.equal(code, 0, stderr)
    t.equal(modeOf(at(`ours-${mode}`)), modeOf(at(`cp-${mode}`)), `${mode} & ~${umask}`)
  }
  execFileSync('chmod', ['0755', at('source')])
  execFileSync('chmod', ['0640', at('cp-0644'), at('ours-0644')])
  execFileSync('cp', [at('source'), at('cp-0644')])
  t.equal((await copy(['--force', at('source'), at('ours-0644')])).code, 0)
  t.equal(modeOf(at('ours-0644')), modeOf(at('cp-0644')))
})

t.test('a target that is there is left alone, and overwritten with --force', async t => {
  const dir = t.testdir({ source: bytes, target: 'precious and longer than nothing' })
  const [source, target] = [join(dir, 'source'), join(dir, 'target')]
  const refused = await copy(['-q', source, target])
  t.equal(refused.code, 1)
  t.equal(refused.stderr, `uring-copy: EEXIST: file already exists, open '${target}' (--force overwrites it)\n`)
  t.equal(readFileSync(target, 'utf8'), 'precious and longer than nothing')
  t.equal((await copy(['--force', source, target])).code, 0)
  t.equal(sha256OfFile(target), sha256(bytes))
})

t.test('a longer target is cut to the length of the source', async t => {
  const dir = t.testdir({ source: 'short', target: bytes })
  t.equal((await copy(['-f', join(dir, 'source'), join(dir, 'target')])).code, 0)
  t.equal(readFileSync(join(dir, 'target'), 'utf8'), 'short')
})

t.test('it is the opening that refuses, not a look before it: a link to nowhere is refused too', async t => {
  const dir = t.testdir({ source: 'x' })
  symlinkSync('nowhere', join(dir, 'target'))
  const { code, stderr } = await copy(['-q', join(dir, 'source'), join(dir, 'target')])
  t.equal(code, 1)
  t.match(stderr, /^uring-copy: EEXIST: /)
  t.notOk(existsSync(join(dir, 'nowhere')))
})

t.test('a file is never copied onto itself, whatever its names', async t => {
  const dir = t.testdir({ source: bytes, folder: {} })
  const at = (name: string): string => join(dir, name)
  symlinkSync('source', at('symbolic'))
  linkSync(at('source'), at('hard'))
  mkdirSync(at('other'))
  linkSync(at('source'), at('other/source'))
  const pairs = [['source', 'source'], ['source', 'symbolic'], ['symbolic', 'source'], ['source', 'hard'],
    ['source', '.'], ['source', 'other'], ['source', 'folder/../source']]
  for (const [source, target] of pairs) {
    for (const force of [[], ['--force']]) {
      const { code, stderr } = await copy(['-q', ...force, at(source), `${dir}/${target}`])
      t.equal(code, 1, `${source} ${target} ${force}`)
      t.match(stderr, /^uring-copy: '.*' and '.*' are the same file\n$/)
    }
  }
  t.equal(sha256OfFile(at('source')), sha256(bytes))
  t.ok(lstatSync(at('symbolic')).isSymbolicLink())
})

t.test('a source that is not there, or is a directory, is one plain line, and no target is touched', async t => {
  const dir = t.testdir({ folder: {}, target: 'precious' })
  const at = (name: string): string => join(dir, name)
  for (const [force, target] of [['--quiet', at('new')], ['--force', at('target')]]) {
    const missing = await copy(['-q', force, at('missing'), target])
    t.equal(missing.code, 1)
    t.equal(missing.stderr, `uring-copy: ENOENT: no such file or directory, open '${at('missing')}'\n`)
    const folder = await copy(['-q', force, at('folder'), target])
    t.equal(folder.code, 1)
    t.equal(folder.stderr, `uring-copy: EISDIR: illegal operation on a directory, read '${at('folder')}' (--recursive copies it)\n`)
  }
  t.notOk(existsSync(at('new')))
  t.equal(readFileSync(at('target'), 'utf8'), 'precious')
})

t.test('blocks that cannot be shared are one plain line, which tells what copies them', async t => {
  const target = join(t.testdir(), 'new')
  const { code, stderr } = await copy(['-q', '--reflink', 'always', '/proc/version', target]) // another file system, for sure
  t.equal(code, 1)
  t.match(stderr, /^uring-copy: [A-Z]+: .*, ioctl '.*new' \(--reflink auto copies what cannot be shared\)\n$/)
  t.notOk(existsSync(target))
})

t.test('a target that cannot be made is one plain line', async t => {
  const dir = t.testdir({ source: 'x' })
  const target = join(dir, 'no', 'such', 'folder')
  const { code, stderr } = await copy(['-q', join(dir, 'source'), target])
  t.equal(code, 1)
  t.equal(stderr, `uring-copy: ENOENT: no such file or directory, open '${target}'\n`)
})

t.test('a line break in a name does not break the line', async t => {
  const { code, stderr } = await copy(['-q', '/nowhere/a\nb\x1b[31m', join(t.testdir(), 'target')])
  t.equal(code, 1)
  t.equal(stderr, "uring-copy: ENOENT: no such file or directory, open '/nowhere/a?b?[31m'\n")
})

t.test('a target that is full before the end is removed', async t => {
  const dir = t.testdir({ source: bytes, old: 'old', link: t.fixture('symlink', 'old') })
  for (const [flag, name] of [['--quiet', 'new'], ['--force', 'link']]) {
    const target = join(dir, name)
    // In blocks of 512 bytes.
    const { code, stderr } = await copyAfter('ulimit -f 4096', ['-q', flag, join(dir, 'source'), target])
    t.equal(code, 1)
    t.equal(stderr, `uring-copy: EFBIG: file too large, write '${target}'\n`)
  }
  t.notOk(existsSync(join(dir, 'new')))
  t.notOk(existsSync(join(dir, 'old')), 'the file that was written is removed, through a link')
  t.ok(lstatSync(join(dir, 'link')).isSymbolicLink())
})

/** A device node like /dev/full: the real one is not for tests to lose. Or why there is none. */
function makeFullDevice(path: string): string | false {
  try {
    execFileSync('mknod', [path, 'c', '1', '7'], { stdio: 'ignore' })
    appendFileSync(path, '') // some file systems do not let devices be opened
    return false
  } catch (error) {
    return `a device node cannot be made and opened here: ${(error as Error).message}`
  }
}

const deviceFolder = t.testdir()
const device = join(deviceFolder, 'full')
t.test('a copy that is stopped before its source is open touches no target', async t => {
  const dir = t.testdir({ source: bytes, target: 'precious' })
  const stopped = new Copy({ ...usual, force: true, source: join(dir, 'source'), target: join(dir, 'target') })
  await t.rejects(stopped.run(AbortSignal.abort()), { message: 'This operation was aborted' })
  t.equal(readFileSync(join(dir, 'target'), 'utf8'), 'precious')
})

t.test('a device that is full stays', { skip: makeFullDevice(device) }, async t => {
  const dir = t.testdir({ source: bytes })
  const { code, stderr } = await copy(['-q', '--force', join(dir, 'source'), device])
  t.equal(code, 1)
  t.equal(stderr, `uring-copy: ENOSPC: no space left on device, write '${device}'\n`)
  t.ok(lstatSync(device).isCharacterDevice())
})

const { available, reason } = probe()
const refusals = { threads: false, uring: available ? false : `no io_uring here: ${reason}` }
for (const [engine, skip] of Object.entries(refusals)) {
  t.test(`the engine '${engine}' copies`, { skip }, async t => {
    const dir = t.testdir({ source: bytes })
    const target = join(dir, 'target')
    const { code, stdout } = await copy(['--json', join(dir, 'source'), target], { URING_STREAMS_ENGINE: engine })
    t.equal(code, 0)
    t.equal(JSON.parse(stdout).engine, engine)
    t.equal(sha256OfFile(target), sha256(bytes))
  })
}

t.test('a variable that is set to nothing chooses as one that is not set', async t => {
  const dir = t.testdir({ source: bytes })
  const { stdout } = await copy(['--json', join(dir, 'source'), join(dir, 'target')], { URING_STREAMS_ENGINE: '' })
  t.equal(JSON.parse(stdout).engine, available ? 'uring' : 'threads')
})

t.test('an engine that does not exist is one plain line', async t => {
  const dir = t.testdir({ source: 'x' })
  writeFileSync(join(dir, 'target'), 'precious')
  const args = ['-q', '-f', join(dir, 'source'), join(dir, 'target')]
  const { code, stderr } = await copy(args, { URING_STREAMS_ENGINE: 'steam' })
  t.equal(code, 1)
  t.match(stderr, /^uring-copy: .*URING_STREAMS_ENGINE.*'steam'\n$/)
  t.equal(readFileSync(join(dir, 'target'), 'utf8'), 'precious')
})
