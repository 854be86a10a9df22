/** uring-copy: several sources, directories, and the options of copyFile. */
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync, chmodSync } from 'node:fs'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join, relative } from 'node:path'
import t from 'tap'
import type { CopyOptions } from '../../examples/copy/arguments.js'
import { parseArguments } from '../../examples/copy/arguments.js'
import { Job } from '../../examples/copy/job.js'
import { copy } from '../helpers/copy-tool.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFifo } from '../helpers/files.js'
import { withMemory } from '../helpers/image.js'
import { asOtherUser, asRoot, notRoot } from '../helpers/other-user.js'
import { patterned } from '../helpers/seeded.js'
import { until } from '../helpers/stream-events.js'
import { setXattrs, xattrsOf } from '../helpers/xattrs.js'

function makeTree(root: string): void {
  mkdirSync(join(root, 'a/b/empty'), { recursive: true })
  for (let i = 0; i < 200; i++) writeFileSync(join(root, i % 2 ? 'a' : 'a/b', `file-${i}`), patterned(i * 37, i + 1))
  writeFileSync(join(root, 'large'), patterned(3_000_001))
  writeFileSync(join(root, 'hole'), 'x')
  truncateSync(join(root, 'hole'), 50_000_000)
  symlinkSync('nowhere', join(root, 'a/link'))
  chmodSync(join(root, 'a/b/file-0'), 0o640)
  chmodSync(join(root, 'a/b'), 0o550)
}

t.test('a tree is copied with its modes, links and holes', async t => {
  const dir = t.testdir({ source: {}, into: {} })
  makeTree(join(dir, 'source'))
  for (const [target, result] of [['new', 'new'], ['into', 'into/source']]) {
    const { code, stdout, stderr } = await copy(['-r', '--json', '--verify', join(dir, 'source'), join(dir, target)])
    t.equal(code, 0, stderr)
    t.match(JSON.parse(stdout), { files: 202, directories: 4, links: 1 })
    execFileSync('diff', ['-r', '--no-dereference', join(dir, 'source'), join(dir, result)])
    t.equal(readlinkSync(join(dir, result, 'a/link')), 'nowhere')
    t.equal(statSync(join(dir, result, 'a/b')).mode & 0o7777, 0o550)
    t.equal(statSync(join(dir, result, 'a/b/file-0')).mode & 0o7777, 0o640)
    t.ok(statSync(join(dir, result, 'hole')).blocks <= 16)
  }
  execFileSync('chmod', ['-R', 'u+w', dir])
})

t.test('files that are copied and verified at once listen to one signal together: nothing warns', async t => {
  const dir = t.testdir({ source: {} })
  for (let i = 0; i < 40; i++) writeFileSync(join(dir, 'source', `file-${i}`), patterned(200_000, i + 1))
  for (const options of [['--verify'], ['--preserve', '--fsync', '--verify'], ['--limit', '1G']]) {
    const { code, stderr } = await copy(['-r', '-q', '--force', ...options, join(dir, 'source'), join(dir, 'target')])
    t.same({ code, stderr }, { code: 0, stderr: '' }, options.join(' '))
    execFileSync('rm', ['-r', join(dir, 'target')])
  }
})

t.test('several sources go into a directory, and only there', async t => {
  const dir = t.testdir({ one: '1', two: '22', into: {} })
  const at = (name: string): string => join(dir, name)
  t.equal((await copy([at('one'), at('two'), at('into')])).code, 0)
  t.same(readdirSync(at('into')).sort(), ['one', 'two'])
  const again = await copy(['-q', at('one'), at('two'), at('into')])
  t.equal(again.code, 1)
  t.match(again.stderr, /^uring-copy: EEXIST: .*into\/(one|two)' \(--force overwrites it\)\n$/)
  t.match((await copy([at('one'), at('two'), at('none')])).stderr, 'several files need a directory')
  t.match((await copy([at('one'), at('one'), at('into')])).stderr, 'two of the sources')
  t.match((await copy([at('one'), at('into'), at('into')])).stderr, '--recursive')
})

t.test('directories that meet in one are merged as cp -r merges them, and files that meet need --force', async t => {
  const dir = t.testdir({
    a: { only: '1', both: 'of a', sub: { x: 'of a' }, link: t.fixture('symlink', 'nowhere'), file: 'f' },
    b: { both: 'longer, of b', sub: { x: 'b', y: '3' }, link: 'a file', file: t.fixture('symlink', 'elsewhere') },
    sub: { z: '4' }, c: { sub: 'a file' }, into: {}, expected: {}
  })
  const at = (name: string): string => join(dir, name)
  chmodSync(at('a/sub'), 0o700)
  const sources = [`${at('a')}/.`, `${at('b')}/.`, at('sub')]
  const met = (name: string): RegExp => new RegExp(`^uring-copy: '[^']*a/${name}' and '[^']*b/${name}' would both be '[^']*into/${name}' \\(--force takes the last\\)\n$`)
  t.match(await copy(['-r', '-q', ...sources, at('into')]), { code: 1, stderr: met('(both|link|file)') })
  t.match(await copy(['-r', '-q', '--force', `${at('a')}/.`, `${at('c')}/.`, at('into')]), { code: 1, stderr: 'and one of them is a directory\n' })
  t.match(await copy(['-r', '-q', '--force', `${at('a')}/.`, at('b/both'), at('into')]), { code: 1, stderr: 'two of the sources' })
  t.same(readdirSync(at('into')), [], 'before anything is touched')
  for (const [ours, its] of [[[], '-r'], [['-p'], '-a']] as const) {
    const { code, stdout, stderr } = await copy(['-r', '--json', '--force', '--verify', ...ours, ...sources, at('into')])
    t.same({ code, stderr }, { code: 0, stderr: '' })
    t.match(JSON.parse(stdout), { files: 6, directories: 2, links: 1, bytes: 1 + 12 + 1 + 1 + 1 + 6 })
    execFileSync('cp', [its, '--remove-destination', ...sources, at('expected')])
    execFileSync('diff', ['-r', '--no-dereference', at('expected'), at('into')])
    t.equal(statSync(at('into/sub')).mode, statSync(at('expected/sub')).mode)
    execFileSync('rm', ['-r', at('into'), at('expected')])
    for (const name of ['into', 'expected']) mkdirSync(at(name))
  }
})

t.test('a directory is not copied into itself', async t => {
  const dir = t.testdir({ source: { file: 'x' } })
  const { code, stderr } = await copy(['-r', join(dir, 'source'), join(dir, 'source/inner')])
  t.equal(code, 1)
  t.match(stderr, 'or inside of it')
  t.notOk(existsSync(join(dir, 'source/inner')))
  t.match(await copy(['-r', '--dry-run', '/', join(dir, 'new')]), { code: 1, stderr: 'or inside of it' })
})

t.test('the parent of a link is that of where it leads, as for cp', { skip: notLinux }, async t => {
  const dir = t.testdir({
    far: { inner: {}, file: 'far', sub: { file: 'sub' } }, near: t.fixture('symlink', 'far/inner'), file: 'precious', into: {}, expected: {}, other: 'other'
  })
  const at = (name: string): string => `${dir}/${name}`
  t.equal((await copy(['-q', at('other'), at('near/..')])).code, 0)
  t.equal(readFileSync(at('far/other'), 'utf8'), 'other')
  t.equal((await copy(['-q', '--force', at('near/../file'), at('near/../sub')])).code, 0)
  t.equal(readFileSync(at('far/sub/file'), 'utf8'), 'far')
  for (const source of ['near/..', 'near/../.', 'near/../sub']) {
    t.match(await copy(['-r', '-q', '--force', '--verify', at(source), at('into')]), { code: 0, stderr: '' })
    execFileSync('cp', ['-r', at(source), at('expected')])
    execFileSync('diff', ['-r', '--no-dereference', at('expected'), at('into')])
  }
  t.match(await copy(['-r', at('near/../sub'), at('near/../sub/new')]), { code: 1, stderr: 'or inside of it' })
  t.equal(readFileSync(at('file'), 'utf8'), 'precious')
})

t.test('directories that were there keep their modes, and new ones what they have of their parents', async t => {
  const dir = t.testdir({ source: { inner: { file: 'x' }, closed: {}, shared: {} }, target: { inner: {} } })
  const at = (name: string): string => join(dir, name)
  chmodSync(at('source/closed'), 0o500)
  chmodSync(at('source/shared'), 0o1777)
  chmodSync(at('target'), 0o3777)
  chmodSync(at('target/inner'), 0o711)
  symlinkSync('target', at('link'))
  t.same(await copy(['-r', '-q', `${at('source')}/.`, at('link')]), { code: 0, signal: null, stdout: '', stderr: '' })
  const modes = ['target', 'target/inner', 'target/closed', 'target/shared'].map(name => (statSync(at(name)).mode & 0o7777).toString(8))
  t.same(modes, ['3777', '711', '2500', `3${(0o777 & ~process.umask()).toString(8)}`], 'and the sticky bit, as with cp')
  t.equal(readFileSync(at('target/inner/file'), 'utf8'), 'x')
  t.equal((await copy(['-r', '-q', '-p', '--force', `${at('source')}/.`, at('target')])).code, 0)
  t.equal(statSync(at('target/inner')).mode, statSync(at('source/inner')).mode, 'but --preserve keeps those of the source')
})

t.test('a copy that fails or is stopped leaves new directories with the modes that they should have', async t => {
  const dir = t.testdir({ source: { closed: { inner: { file: 'x' } }, open: { file: 'x' } }, target: { open: { file: 'precious' } } })
  const at = (name: string): string => join(dir, name)
  chmodSync(at('source/closed/inner'), 0o500)
  chmodSync(at('source/closed'), 0o550)
  chmodSync(at('target/open'), 0o711)
  execFileSync('touch', ['-d', '2001-02-03 04:05:06', at('source/closed')])
  const modes = (target: string): string[] => ['closed', 'closed/inner', 'open'].map(name => (statSync(join(at(target), name)).mode & 0o7777).toString(8))
  for (const options of [[], ['-p']]) {
    const { code, stderr } = await copy(['-r', '-q', ...options, `${at('source')}/.`, at('target')])
    t.match({ code, stderr }, { code: 1, stderr: /^uring-copy: EEXIST: [^\n]*open\/file' [^\n]*\n$/ })
    t.same(modes('target'), ['550', '500', '711'], 'those that were there keep theirs')
    if (options.length > 0) t.equal(statSync(at('target/closed')).mtimeMs, statSync(at('source/closed')).mtimeMs)
    execFileSync('sh', ['-c', 'chmod -R u+w "$1" && rm -r "$1"', 'sh', at('target/closed')])
  }
  const options = { source: at('source'), target: at('new'), recursive: true, report: 'quiet' } as const
  await t.rejects(new Job(options).run(AbortSignal.abort()), { message: 'This operation was aborted' })
  t.notOk(existsSync(at('new')), 'before anything is made')
  const stop = new AbortController()
  const job = new Job({ ...options, bytesPerSecondMax: 1 }) // the second file's byte would come after a second
  const stopped = job.run(stop.signal)
  void until(() => job.bytes > 0).then(() => stop.abort())
  await t.rejects(stopped, { message: 'This operation was aborted' })
  t.same(modes('new'), ['550', '500', '755'])
  execFileSync('chmod', ['-R', 'u+w', dir])
})

t.test('a directory replaces nothing and follows no link of the target, and no link replaces a directory', async t => {
  const dir = t.testdir({ source: { name: { file: 'x' } }, links: {}, target: {}, outside: {} })
  const at = (name: string): string => join(dir, name)
  symlinkSync('nowhere', at('links/name'))
  const refused = async (source: string, message: RegExp): Promise<void> => {
    const { code, stderr } = await copy(['-r', '-q', '--force', `${at(source)}/.`, at('target')])
    t.equal(code, 1)
    t.match(stderr, message)
    t.notMatch(stderr, '--force')
  }
  symlinkSync('../outside', at('target/name'))
  await refused('source', /'[^']*target\/name' is no directory, and not replaced by '[^']*source\/name', which is one\n$/)
  t.same(readdirSync(at('outside')), [])
  execFileSync('rm', [at('target/name')])
  writeFileSync(at('target/name'), 'precious')
  await refused('source', /is no directory/)
  t.equal(readFileSync(at('target/name'), 'utf8'), 'precious')
  execFileSync('rm', [at('target/name')])
  mkdirSync(at('target/name'))
  await refused('links', /'[^']*target\/name' is a directory, and not replaced by '[^']*links\/name', which is a link\n$/)
  t.ok(statSync(at('target/name')).isDirectory())
})

// Its name is part of the socket's path, which may have 107 bytes.
t.test('FIFOs and sockets are skipped', { skip: notLinux }, async t => {
  const dir = t.testdir({ source: { a: 'a', inner: { b: 'b' } } })
  const at = (name: string): string => join(dir, name)
  makeFifo(at('source/inner/fifo'))
  const server = createServer().listen(relative('.', at('source/socket')))
  await once(server, 'listening')
  t.teardown(() => server.close())
  const lines = `uring-copy: skipped '${at('source/socket')}': a socket cannot be made here (cp -r makes it)
uring-copy: skipped '${at('source/inner/fifo')}': a FIFO cannot be made here (cp -r makes it)
`
  const told = (stderr: string): string[] => stderr.split('\n').sort()
  const planned = await copy(['-r', '--dry-run', at('source'), at('target')])
  t.same([planned.code, told(planned.stderr)], [1, told(lines)])
  t.match(planned.stdout, '2 files, 2 B\n')
  t.notOk(existsSync(at('target')))
  const { code, stdout, stderr } = await copy(['-r', '--json', '--verify', '-p', at('source'), at('target')])
  t.same([code, told(stderr)], [1, told(lines)])
  t.match(JSON.parse(stdout), { files: 2, directories: 2, links: 0, skipped: 2 })
  t.same(readdirSync(at('target')).sort(), ['a', 'inner'])
  t.same(readdirSync(at('target/inner')), ['b'])
  t.ok(Math.abs(statSync(at('target/inner')).mtimeMs - statSync(at('source/inner')).mtimeMs) < 0.001, 'and finished')
  const alone = await copy(['-r', '-q', at('source/inner/fifo'), at('alone')])
  t.match(alone, { code: 1, stderr: /^uring-copy: skipped [^\n]*\n$/ })
  t.notOk(existsSync(at('alone')))
})

t.test('what is no file any more when its turn comes is neither opened nor followed', { skip: notLinux }, async t => {
  const dir = t.testdir({ outside: 'secret' })
  const at = (name: string): string => join(dir, name)
  const kinds: [string, (path: string) => void][] = [
    ['link', path => symlinkSync(at('outside'), path)], ['directory', path => mkdirSync(path)], ['FIFO', path => void makeFifo(path)]
  ]
  for (const [kind, make] of kinds) for (const length of [1, 1_000_000]) {
    const [source, target, changing] = [at(`${kind}-${length}`), at(`${kind}-${length}-copy`), at(`${kind}-${length}/file`)]
    mkdirSync(join(source, 'inner'), { recursive: true })
    writeFileSync(changing, Buffer.alloc(length))
    const { signal } = new AbortController()
    // Asked before each directory is made: here the second, when all of the tree has been looked at.
    signal.throwIfAborted = () => {
      if (!existsSync(target) || !lstatSync(changing).isFile()) return
      rmSync(changing)
      make(changing)
    }
    const message = `'${changing}' is no regular file any more`
    await t.rejects(new Job({ source, target, recursive: true, report: 'quiet' }).run(signal), { message })
    t.same(readdirSync(target), ['inner'])
  }
})

t.test('--dry-run tells what would be done, and does nothing', async t => {
  const dir = t.testdir({ source: { file: 'x' } })
  const { code, stdout } = await copy(['-r', '--dry-run', join(dir, 'source'), join(dir, 'target')])
  t.equal(code, 0)
  t.match(stdout, `${join(dir, 'source', 'file')} -> ${join(dir, 'target', 'file')}\n`)
  t.match(stdout, '1 file, 1 B\n')
  t.notOk(existsSync(join(dir, 'target')))
})

t.test('--dry-run fails where the copy would, in the same words, and tells --json in JSON', async t => {
  const dir = t.testdir({ source: { name: 'x', other: 'y' }, file: 'precious', full: { source: { name: 'precious' } }, odd: { source: { name: {} } }, into: {} })
  const at = (name: string): string => join(dir, name)
  const cases = [
    ['-r', at('source'), at('full')], ['-r', '--force', at('source'), at('file')], [at('source'), at('into')],
    [at('source/name'), at('none/new')], ['-r', at('source'), at('none/new')], ['-r', at('source'), at('file/new')],
    [at('source/name'), at('source')], ['--force', at('source/name'), at('source')], ['--force', '--verify', makeFifo(at('fifo')), at('new')]
  ]
  for (const args of cases) {
    const planned = await copy(['--dry-run', ...args])
    const done = await copy(['-q', ...args])
    t.equal(planned.code, 1, args.join(' '))
    t.equal(planned.stdout, '')
    const plain = (text: string): string => text.replace(/, and (not replaced|would not be).*/, '')
    t.equal(plain(planned.stderr), plain(done.stderr))
  }
  t.equal((await copy(['--dry-run', '-r', '--force', at('source'), at('odd')])).code, 1)
  const { code, stdout, stderr } = await copy(['--dry-run', '--json', '-r', at('source'), at('into')])
  t.same({ code, stderr }, { code: 0, stderr: '' })
  t.same(JSON.parse(stdout), { sources: [at('source')], target: at('into'), files: 2, directories: 1, links: 0, skipped: 0, bytes: 2 })
  t.same(readdirSync(at('into')), [])
  writeFileSync(Buffer.concat([Buffer.from(`${at('source')}/`), Buffer.from([0xff])]), '')
  mkdirSync(Buffer.concat([Buffer.from(`${at('odd')}/`), Buffer.from([0xff])]))
  writeFileSync(Buffer.concat([Buffer.from(`${at('odd')}/`), Buffer.from([0xff]), Buffer.from('/inner')]), '')
  for (const source of ['source', 'odd']) t.equal((await copy(['--dry-run', '-r', at(source), `${at('new')}/`])).code, 0)
})

t.test('--dry-run fails where nothing can be made', { skip: notLinux }, async t => {
  const dir = t.testdir({ file: 'x', folder: {} })
  await withMemory(t, 'tmpfs', async folder => {
    execFileSync('mount', ['-o', 'remount,ro', folder])
    for (const args of [[join(dir, 'file'), folder], ['-r', join(dir, 'folder'), folder], [join(dir, 'file'), join(folder, 'new')]]) {
      const planned = await copy(['--dry-run', ...args])
      t.match(planned, { code: 1, stdout: '', stderr: /^uring-copy: EROFS: read-only file system, (open|mkdir) '/ })
      t.same(planned, await copy(['-q', ...args]))
    }
  })
})

t.test('--preserve keeps times, of directories and links too', async t => {
  const dir = t.testdir({ source: { inner: { file: 'x' } } })
  symlinkSync('file', join(dir, 'source/inner/link'))
  const names = ['', 'inner', 'inner/file', 'inner/link']
  for (const name of names) execFileSync('touch', ['-h', '-d', '2001-02-03 04:05:06.789123', join(dir, 'source', name)])
  t.equal((await copy(['-r', '-p', join(dir, 'source'), join(dir, 'target')])).code, 0)
  for (const name of names) {
    const [there, here] = [lstatSync(join(dir, 'target', name)), lstatSync(join(dir, 'source', name))]
    t.ok(Math.abs(there.mtimeMs - here.mtimeMs) < 0.001, `${name}: ${there.mtimeMs}, ${here.mtimeMs}`)
  }
})

t.test('--preserve keeps times before 1970', async t => {
  const dir = t.testdir({ source: { file: 'x' } })
  symlinkSync('file', join(dir, 'source/link'))
  const names = ['', 'file', 'link']
  for (const name of names) execFileSync('touch', ['-h', '-d', '1960-01-02 03:04:05.5 UTC', join(dir, 'source', name)])
  t.equal((await copy(['-r', '-p', join(dir, 'source'), join(dir, 'target')])).code, 0)
  for (const name of names) t.equal(lstatSync(join(dir, 'target', name)).mtime.toISOString(), '1960-01-02T03:04:05.500Z', name)
})

t.test('a mask that takes the owner\'s rights away keeps nobody from filling a directory', { skip: notRoot }, async t => {
  await asOtherUser(async directory => {
    const source = join(directory, 'source')
    mkdirSync(join(source, 'inner'), { recursive: true })
    writeFileSync(join(source, 'inner/file'), 'x', { mode: 0o666 })
    const old = process.umask(0o277)
    try {
      await new Job({ ...parseArguments(['-r', '-q', source, join(directory, 'target')]) as CopyOptions }).run(new AbortController().signal)
    } finally {
      process.umask(old)
    }
    for (const name of ['target', 'target/inner']) t.equal((statSync(join(directory, name)).mode & 0o777).toString(8), '500', name)
    chmodSync(join(directory, 'target'), 0o700)
    chmodSync(join(directory, 'target/inner'), 0o700)
  })
})

t.test('a link is not replaced by itself', async t => {
  const dir = t.testdir({ a: {} })
  symlinkSync('nowhere', join(dir, 'a/link'))
  symlinkSync('a', join(dir, 'b'))
  const { ino } = lstatSync(join(dir, 'a/link'))
  const { code, stderr } = await copy(['-r', '-q', '--force', join(dir, 'a/link'), join(dir, 'b')])
  t.equal(code, 1)
  t.match(stderr, 'are the same link')
  t.equal(lstatSync(join(dir, 'a/link')).ino, ino)
})

t.test('--preserve keeps extended attributes, of directories too', { skip: notLinux }, async t => {
  const dir = t.testdir({ source: { inner: { file: 'x' } } })
  const names = ['', 'inner', 'inner/file']
  for (const name of names) if (!setXattrs(t, join(dir, 'source', name), { 'user.colour': `of ${name}` })) return
  chmodSync(join(dir, 'source/inner'), 0o500)
  t.equal((await copy(['-r', '-p', join(dir, 'source'), join(dir, 'target')])).code, 0)
  for (const name of names) t.equal(xattrsOf(join(dir, 'target', name)), xattrsOf(join(dir, 'source', name)), name)
  t.equal(statSync(join(dir, 'target/inner')).mode & 0o7777, 0o500)
  t.equal((await copy(['-r', join(dir, 'source'), join(dir, 'other')])).code, 0)
  t.equal(xattrsOf(join(dir, 'other')), '[]\n', 'not unless asked for')
})

t.test('--preserve leaves no directory the access control lists of the one that it is in', { skip: notLinux }, async t => {
  const dir = t.testdir({ source: { inner: { file: 'x' } }, into: {} })
  // As in test/copy/options.test.ts: user 1000 may do all.
  const entry = (kind: number, id = 0xffff_ffff): number[] => [kind, 0, 7, 0, ...[0, 8, 16, 24].map(bits => id >>> bits & 0xff)]
  const list = String.fromCharCode(2, 0, 0, 0, ...entry(1), ...entry(2, 1000), ...entry(4), ...entry(16), ...entry(32))
  if (!setXattrs(t, join(dir, 'into'), { 'system.posix_acl_default': list })) return
  t.equal((await copy(['-r', '-p', join(dir, 'source'), join(dir, 'into')])).code, 0)
  for (const name of ['', 'inner', 'inner/file']) t.equal(xattrsOf(join(dir, 'into/source', name), 'system.'), '[]\n', name)
})

t.test('--preserve goes on where the file system takes no extended attributes', { skip: notLinux }, async t => {
  const dir = t.testdir({ source: { file: 'x' } })
  if (!setXattrs(t, join(dir, 'source/file'), { 'user.colour': 'blue' })) return
  chmodSync(join(dir, 'source/file'), 0o750)
  await withMemory(t, 'ramfs', async folder => {
    setXattrs(t, join(dir, 'source'), { 'user.colour': 'red' })
    for (const [source, target] of [['source/file', 'alone'], ['source', 'tree']]) {
      const { code, stderr } = await copy(['-r', '-q', '-p', join(dir, source), join(folder, target)])
      t.same({ code, stderr }, { code: 0, stderr: '' }, source)
    }
    t.same(['alone', 'tree/file'].map(name => statSync(join(folder, name)).mode & 0o7777), [0o750, 0o750])
  })
})

t.test('--preserve is for who may not give files away, too', { skip: notRoot }, async t => {
  await asOtherUser(async directory => {
    const at = (name: string): string => join(directory, name)
    mkdirSync(at('source/inner'), { recursive: true })
    writeFileSync(at('source/inner/file'), 'x')
    symlinkSync('file', at('source/inner/link'))
    asRoot(() => {
      execFileSync('chown', ['-hR', '1234:4321', at('source')])
      for (const name of ['source/inner', 'source/inner/file']) chmodSync(at(name), 0o7755)
      execFileSync('touch', ['-h', '-d', '2001-02-03 04:05:06', at('source/inner/link'), at('source/inner/file'), at('source/inner')])
    })
    const options = { source: at('source'), target: at('target'), recursive: true, preserve: true, report: 'quiet' } as const
    t.match(await new Job(options).run(new AbortController().signal), { files: 1, directories: 2, links: 1 })
    for (const name of ['inner', 'inner/file', 'inner/link']) {
      const [from, { uid, gid, mode, mtimeMs }] = [lstatSync(at(`source/${name}`)), lstatSync(at(`target/${name}`))]
      t.same({ uid, gid, mode, mtimeMs }, { uid: 65534, gid: 65534, mode: from.mode & ~0o6000, mtimeMs: from.mtimeMs }, name)
    }
  })
})

t.test('names that are no UTF-8 are copied as they are', { skip: notLinux }, async t => {
  const dir = t.testdir({ source: {} })
  const bytes = (...parts: (string | number)[]): Buffer => Buffer.concat(parts.map(part => typeof part === 'string' ? Buffer.from(part) : Buffer.of(part)))
  mkdirSync(bytes(dir, '/source/d', 0xff))
  writeFileSync(bytes(dir, '/source/d', 0xff, '/f', 0xfe), 'small')
  writeFileSync(bytes(dir, '/source/f', 0xe4), patterned(1_000_000))
  symlinkSync(bytes('nowhere', 0xff), bytes(dir, '/source/l', 0xfd))
  const { code, stderr } = await copy(['-r', '-q', '--verify', join(dir, 'source'), join(dir, 'target')])
  t.same({ code, stderr }, { code: 0, stderr: '' })
  execFileSync('diff', ['-r', '--no-dereference', join(dir, 'source'), join(dir, 'target')])
  t.same(readdirSync(join(dir, 'target'), { encoding: 'buffer' }), readdirSync(join(dir, 'source'), { encoding: 'buffer' }))
  execFileSync('rm', ['-r', dir]) // before tap removes it, by names that there are none of
})
