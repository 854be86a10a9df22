// copyFile: each option does what it says.
import { execFileSync } from 'node:child_process'
import {
  chmodSync, chownSync, existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { BufferPool, copyFile, copyFiles, Ring } from '../../lib/index.js'
import type { CopyProgress } from '../../lib/index.js'
import { Fifo, sha256OfFile } from '../helpers/copy-tool.js'
import { notLinux } from '../helpers/descriptors.js'
import { forget, makeFile } from '../helpers/files.js'
import { withMemory } from '../helpers/image.js'
import { asOtherUser, asRoot, notRoot } from '../helpers/other-user.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'
import { thrown, until } from '../helpers/stream-events.js'
import { setXattrs, xattrsOf } from '../helpers/xattrs.js'

makeSharedRings()

const MiB = 1024 * 1024

ringTest('progress never goes back, and ends with everything', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 5 * MiB + 1)
  for (const reflink of ['auto', 'never'] as const) {
    const seen: CopyProgress[] = []
    await copyFile(source.path, join(directory, 'target'), { reflink, bytesPerSecondMax: 20 * MiB, onProgress: each => { seen.push(each) } })
    t.same(seen.at(-1)!.copiedBytes, source.content.length)
    for (const [i, { copiedBytes, totalBytes }] of seen.entries()) {
      t.equal(totalBytes, source.content.length)
      t.ok(copiedBytes >= (seen[i - 1]?.copiedBytes ?? 0), `${copiedBytes}`)
    }
    t.ok(seen.at(-1)!.bytesPerSecond > 0)
    t.ok(seen.length > 2, `${seen.length} reports`)
  }
})

ringTest('a limit is kept, for it splits the copy into pieces', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 100_000)
  const { seconds, operations } = await copyFile(source.path, `${source.path}-2`, { bytesPerSecondMax: 500_000, reflink: 'never' })
  // The first piece is free: 49152 bytes at once, and the rest in its time.
  t.ok(seconds >= (100_000 - 50_000) / 500_000, `${seconds} s`)
  t.ok(operations >= 6, `${operations}`)
  t.equal(sha256OfFile(`${source.path}-2`), source.sha256)
})

ringTest('many lanes wait for a limit at once: nothing warns', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 64 * 4096)
  const warnings: Error[] = []
  const warned = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', warned)
  await copyFile(source.path, `${source.path}-2`, { bytesPerSecondMax: MiB, chunkSize: 4096, depth: 16, reflink: 'never' })
  await new Promise(setImmediate) // they are told of later
  process.off('warning', warned)
  t.same(warnings, [])
  t.equal(sha256OfFile(`${source.path}-2`), source.sha256)
})

ringTest('a new file has the mode bits of the source less the umask, an old one its own, and preserve keeps all', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 10)
  const target = join(directory, 'target')
  chmodSync(source.path, 0o6777)
  const umask = process.umask(0o027)
  try {
    await copyFile(source.path, target)
    t.equal(statSync(target).mode & 0o7777, 0o750)
    chmodSync(target, 0o604)
    await copyFile(source.path, target)
    t.equal(statSync(target).mode & 0o7777, 0o604)
    await copyFile(source.path, target, { atomic: true })
    t.equal(statSync(target).mode & 0o7777, 0o604, 'a file that replaces another has its mode')
    await copyFile(source.path, target, { preserve: { mode: true } })
    t.equal(statSync(target).mode & 0o7777, 0o6777)
  } finally {
    process.umask(umask)
  }
})

for (const day of ['2001-02-03', '1931-02-03']) {
  ringTest(`timestamps of ${day} are preserved to the nanosecond`, async t => {
    const source = makeFile(join(t.testdir(), 'source'), 70_000)
    const target = `${source.path}-2`
    execFileSync('touch', ['-m', '-d', `${day} 04:05:06.123456789`, source.path])
    execFileSync('touch', ['-a', '-d', `${day} 03:04:05.987654321`, source.path])
    const { atimeNs, mtimeNs } = lstatSync(source.path, { bigint: true })
    // It is written to meanwhile: a copy that may not be that file any more does not say so.
    const onProgress = (): void => { utimesSync(source.path, new Date(), new Date()) }
    await copyFile(source.path, target, { preserve: { timestamps: true }, onProgress })
    t.match(lstatSync(target, { bigint: true }), { atimeNs, mtimeNs })
    t.equal(((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n, 123456789n)
    await copyFile(source.path, target)
    t.not(statSync(target).mtimeMs, Number(mtimeNs) / 1e6, 'not unless asked for')
  }, notLinux)
}

ringTest('ownership is preserved', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 10)
  chownSync(source.path, 1234, 4321)
  chmodSync(source.path, 0o4755)
  await copyFile(source.path, `${source.path}-2`, { preserve: true })
  const { uid, gid, mode } = statSync(`${source.path}-2`)
  t.same({ uid, gid, mode: mode & 0o7777 }, { uid: 1234, gid: 4321, mode: 0o4755 })
}, process.getuid?.() === 0 ? false : 'only root may give files away')

ringTest('who may not give files away fails, or keeps them: without the bits that would make them another\'s programs', async t => {
  await asOtherUser(async directory => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    writeFileSync(source, 'x')
    asRoot(() => {
      chownSync(source, 1234, 4321)
      chmodSync(source, 0o7755)
    })
    await t.rejects(copyFile(source, target, { preserve: true }), { code: 'EPERM', syscall: 'fchown', path: source, dest: target })
    t.notOk(existsSync(target))
    await copyFile(source, target, { preserve: { mode: true, ownership: 'prefer' } })
    const { uid, gid, mode } = statSync(target)
    t.same({ uid, gid, mode: (mode & 0o7777).toString(8) }, { uid: 65534, gid: 65534, mode: '1755' })
  })
  const { path } = makeFile(join(t.testdir(), 'source'), 10)
  chownSync(path, 1234, 4321)
  await copyFile(path, `${path}-2`, { preserve: { ownership: 'prefer' } })
  t.match(statSync(`${path}-2`), { uid: 1234, gid: 4321 }, 'root may')
  await copyFiles([{ source: path, target: `${path}-3` }], { preserve: { ownership: 'prefer' } })
  t.match(statSync(`${path}-3`), { uid: 1234, gid: 4321 })
  await t.rejects(copyFile(path, `${path}-4`, { preserve: { mode: 'prefer' as unknown as true } }), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.rejects(copyFile(path, `${path}-4`, { preserve: { xattrs: 'always' as unknown as true } }), { code: 'ERR_INVALID_ARG_TYPE' })
}, notRoot)

ringTest('extended attributes are preserved', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 10)
  const [target, other] = [`${source.path}-2`, `${source.path}-3`]
  if (!setXattrs(t, source.path, { 'user.colour': 'blue', 'user.long': 'x'.repeat(1000) })) return
  await copyFile(source.path, target, { preserve: { xattrs: true } })
  await copyFile(source.path, other)
  t.match(xattrsOf(source.path), 'blue')
  t.equal(xattrsOf(target), xattrsOf(source.path))
  t.equal(xattrsOf(other), '[]\n', 'not unless asked for')
}, notLinux)

ringTest('access control lists that the source has not are not the target\'s either', async t => {
  const directory = t.testdir({ source: 'secret', into: { old: 'x' }, sub: {} })
  const [source, into] = [join(directory, 'source'), join(directory, 'into')]
  chmodSync(source, 0o640)
  // struct posix_acl_xattr: version 2; then kind, rights and id of each: owner, user 1000, group, mask, others.
  const entry = (kind: number, rights: number, id = 0xffff_ffff): number[] => [kind & 0xff, 0, rights, 0, ...[0, 8, 16, 24].map(bits => id >>> bits & 0xff)]
  const list = String.fromCharCode(2, 0, 0, 0, ...entry(1, 6), ...entry(2, 6, 1000), ...entry(4, 4), ...entry(16, 6), ...entry(32, 4))
  if (!setXattrs(t, into, { 'system.posix_acl_default': list }) || !setXattrs(t, join(into, 'old'), { 'system.posix_acl_access': list })) return
  for (const name of ['old', 'new']) {
    const target = join(into, name)
    await copyFile(source, target)
    t.match(xattrsOf(target, 'system.'), 'posix_acl_access', 'as cp without -p')
    await copyFile(source, target, { preserve: { mode: true, xattrs: true } })
    t.equal(xattrsOf(target, 'system.'), '[]\n')
    t.equal(statSync(target).mode & 0o7777, 0o640)
  }
  await copyFile(join(into, 'old'), source) // has none now
  setXattrs(t, source, { 'system.posix_acl_access': list })
  await copyFile(source, join(directory, 'sub/kept'), { preserve: { mode: true, xattrs: true } })
  t.equal(xattrsOf(join(directory, 'sub/kept'), 'system.'), xattrsOf(source, 'system.'), 'its own are')
}, notLinux)

ringTest('nobody else may read what is not whole yet, where owner and mode are preserved', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 2_000_000)
  chmodSync(source.path, 0o664)
  const modes: number[] = []
  const target = join(directory, 'target')
  const onProgress = (): void => { modes.push(statSync(target).mode & 0o777) }
  await copyFile(source.path, target, { preserve: true, reflink: 'never', onProgress })
  t.ok(modes.length > 0 && modes.every(mode => mode === 0o600), modes.map(mode => mode.toString(8)).join())
  t.equal(statSync(target).mode & 0o777, 0o664)
}, notLinux)

ringTest('a file system that takes no attributes fails, or has none where they are preferred', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 10)
  if (!setXattrs(t, source.path, { 'user.colour': 'blue' })) return
  await withMemory(t, 'ramfs', async folder => {
    const target = join(folder, 'target')
    await t.rejects(copyFile(source.path, target, { preserve: { xattrs: true } }), { code: 'ENOTSUP', syscall: 'setxattr', path: source.path, dest: target })
    t.notOk(existsSync(target))
    chmodSync(source.path, 0o750)
    await copyFile(source.path, target, { preserve: { mode: true, xattrs: 'prefer' } })
    t.equal(sha256OfFile(target), source.sha256)
    t.equal(statSync(target).mode & 0o7777, 0o750, 'and what comes after them is kept')
  })
}, notLinux)

ringTest('of attributes that are preferred only those are left out that may not be set', async t => {
  await asOtherUser(async directory => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    writeFileSync(source, 'x')
    // The long one has no room in the inode: it is listed last.
    const made = { 'security.capability': '\0\0\0\x02'.padEnd(20, '\0'), 'user.colour': 'blue', 'user.long': 'x'.repeat(1000) }
    let set = false
    asRoot(() => { set = setXattrs(t, source, made) })
    if (!set) return
    await t.rejects(copyFile(source, target, { preserve: { xattrs: true } }), { code: 'EPERM', syscall: 'setxattr' })
    await copyFile(source, target, { preserve: { xattrs: 'prefer' } })
    t.match(xattrsOf(target), /user\.colour.*blue.*user\.long.*xxx/)
    t.equal(xattrsOf(target), xattrsOf(source))
  })
}, notRoot)

ringTest('who may not write to a file keeps its attributes, and its mode', async t => {
  await asOtherUser(async directory => {
    const [source, target] = [join(directory, 'source'), join(directory, 'target')]
    writeFileSync(source, 'x')
    if (!setXattrs(t, source, { 'user.colour': 'blue' })) return
    chmodSync(source, 0o400)
    await copyFile(source, target, { preserve: { xattrs: true } })
    t.equal(xattrsOf(target), xattrsOf(source))
    t.equal(statSync(target).mode & 0o7777, 0o400)
  })
}, notRoot)

for (const engine of ['uring', 'threads'] as const) {
  ringTest(`direct copies of any length are whole, or refused with a reason (${engine})`, async t => {
    const directory = t.testdir()
    const target = join(directory, 'target')
    for (const length of [0, 1, 511, 4095, 4096, 4097, MiB - 1, MiB, MiB + 1, 9 * MiB + 4096, 10 * MiB + 777]) {
      const source = makeFile(join(directory, 'source'), length)
      const { method } = await copyFile(source.path, target, { engine, direct: 'prefer', reflink: 'never' })
      t.match(method, /^(direct|buffered)$/)
      t.equal(sha256OfFile(target), source.sha256, `${length} bytes, ${method}`)
      t.equal(statSync(target).size, length)
    }
    const { method } = await copyFile('/proc/version', target, { engine, direct: 'prefer' })
    t.equal(method, 'buffered', 'procfs has none')
    writeFileSync(target, 'precious')
    for (const [path, left] of [[target, 'precious'], [`${target}-2`, null]] as const) {
      await t.rejects(copyFile('/proc/version', path, { engine, direct: true }), { code: 'EINVAL', syscall: 'fcntl', cause: { message: /no direct IO/ } })
      t.equal(existsSync(path) ? readFileSync(path, 'utf8') : null, left, 'what is refused loses nothing')
    }
  }, engine === 'uring' && notUring || notLinux)

  ringTest(`direct copies that find the ring's memory used up have their own (${engine})`, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 5 * MiB + 777)
    const pool = new BufferPool(Ring.shared(engine), { bufferSize: MiB, count: 8 })
    const held = await Promise.all(Array.from({ length: 8 }, () => pool.acquire()))
    await copyFile(source.path, join(directory, 'target'), { engine, direct: 'prefer', reflink: 'never' })
    for (const each of held) each.release()
    pool.close()
    t.equal(sha256OfFile(join(directory, 'target')), source.sha256)
  }, engine === 'uring' && notUring || notLinux)

  ringTest(`dropCache leaves nothing of the file in the page cache (${engine})`, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 4 * MiB + 5)
    forget(source.path)
    if (cachedPages(t, source.path) !== 0) return void t.pass('dropping pages', { skip: 'nothing can be dropped here' })
    const target = join(directory, 'target')
    await copyFile(source.path, target, { engine, reflink: 'never', dropCache: true, flush: true })
    t.equal(cachedPages(t, source.path), 0, 'of the source')
    t.equal(cachedPages(t, target), 0, 'of the target')
    t.equal(sha256OfFile(target), source.sha256)
    const pages = cachedPages(t, source.path)
    await copyFile(source.path, target, { engine, reflink: 'never', dropCache: true })
    t.equal(cachedPages(t, source.path), pages, 'a source that others had there stays')
  }, engine === 'uring' && notUring || noFincore())

  ringTest(`dropCache is no matter where nothing is cached: pipes (${engine})`, async t => {
    const directory = t.testdir()
    const fifo = new Fifo(join(directory, 'fifo'))
    const copied = copyFile(fifo.path, join(directory, 'target'), { engine, dropCache: true })
    await fifo.feed(Buffer.from('content'))
    await until(() => statSync(join(directory, 'target'), { throwIfNoEntry: false })?.size === 7)
    fifo.close()
    await copied
    t.equal(readFileSync(join(directory, 'target'), 'utf8'), 'content')
    await t.rejects(copyFile(join(directory, 'target'), '/dev/null', { engine, flush: true }),
      { code: 'EINVAL', syscall: 'fsync', cause: { message: 'EINVAL: invalid argument, fsync \'/dev/null\'' } })
  }, engine === 'uring' && notUring || notLinux)
}

ringTest('atomic replaces what a link leads to, and the link stays', async t => {
  const directory = t.testdir({ old: 'old', folder: {} })
  const source = makeFile(join(directory, 'source'), 1000)
  symlinkSync('../old', join(directory, 'folder', 'link'))
  const before = statSync(join(directory, 'old')).ino
  await copyFile(source.path, join(directory, 'folder', 'link'), { atomic: true })
  t.ok(lstatSync(join(directory, 'folder', 'link')).isSymbolicLink())
  t.equal(sha256OfFile(join(directory, 'old')), source.sha256)
  t.not(statSync(join(directory, 'old')).ino, before, 'by another file')
  t.same(readdirSync(directory).sort(), ['folder', 'old', 'source'])
  symlinkSync('made', join(directory, 'dangling'))
  await t.rejects(copyFile(source.path, join(directory, 'dangling'), { atomic: true, force: false }), { code: 'EEXIST', syscall: 'open' })
  await copyFile(source.path, join(directory, 'dangling'), { atomic: true })
  t.ok(lstatSync(join(directory, 'dangling')).isSymbolicLink())
  t.equal(sha256OfFile(join(directory, 'made')), source.sha256)
  rmSync(join(directory, 'dangling'))
  rmSync(join(directory, 'made'))
  await copyFile(source.path, join(directory, 'new'), { atomic: true, force: false })
  t.equal(sha256OfFile(join(directory, 'new')), source.sha256)
  t.same(readdirSync(directory).sort(), ['folder', 'new', 'old', 'source'])
})

ringTest('atomic keeps the owner and the mode of the file that it replaces', async t => {
  const directory = t.testdir({ target: 'old' })
  const source = makeFile(join(directory, 'source'), 1000)
  const target = join(directory, 'target')
  chownSync(target, 1234, 4321)
  chmodSync(target, 0o4711)
  await copyFile(source.path, target, { atomic: true })
  const { uid, gid, mode } = statSync(target)
  t.same({ uid, gid, mode: mode & 0o7777 }, { uid: 1234, gid: 4321, mode: 0o4711 })
  t.equal(sha256OfFile(target), source.sha256)
}, process.getuid?.() === 0 ? false : 'only root may give files away')

ringTest('flush and atomic sync by the ring, the others do not', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1000)
  const ring = new Ring()
  const syncs = async (options: object): Promise<number> => {
    const monitor = ring.monitor()
    await copyFile(source.path, join(directory, 'target'), { ring, ...options })
    monitor.stop()
    return monitor.summary().fsync?.count ?? 0
  }
  t.equal(await syncs({}), 0)
  t.equal(await syncs({ flush: true }), 1)
  t.equal(await syncs({ atomic: true }), 2, 'the file, and its directory')
  t.equal(await syncs({ atomic: true, flush: true }), 2, 'which is no more with flush')
  await ring.close()
})

ringTest('reflink: always clones or fails, never copies, and auto does what can be done', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 200_000)
  const target = join(directory, 'target')
  t.equal((await copyFile(source.path, target, { reflink: 'never' })).method, 'buffered')
  const { method } = await copyFile(source.path, target)
  const cloned = await copyFile(source.path, target, { clone: true }).then(({ method }) => method, (error: NodeJS.ErrnoException) => error)
  if (typeof cloned === 'string') t.same([method, cloned], ['clone', 'clone'])
  else t.match(cloned, { code: /^(EOPNOTSUPP|ENOTSUP|ENOTTY|EXDEV|ENOSYS)$/, syscall: 'ioctl', path: source.path, dest: target })
  t.equal(sha256OfFile(target), source.sha256, 'what is refused loses nothing')
  await withMemory(t, 'tmpfs', async folder => {
    for (const old of [null, 'precious']) {
      if (old !== null) writeFileSync(join(folder, 'target'), old)
      await t.rejects(copyFile(source.path, join(folder, 'target'), { reflink: 'always' }), { code: 'EXDEV', syscall: 'ioctl' })
      t.equal(existsSync(join(folder, 'target')) ? readFileSync(join(folder, 'target'), 'utf8') : null, old)
    }
  })
})

function noFincore(): string | false {
  return notLinux || (thrown(() => execFileSync('fincore', ['--version'], { stdio: 'pipe' })) !== undefined && 'fincore of util-linux is not here')
}

function cachedPages(t: Test, path: string): number {
  const pages = execFileSync('fincore', ['-n', '-o', 'PAGES', path], { encoding: 'utf8' })
  t.comment(`${path}: ${pages.trim()} pages`)
  return Number(pages)
}
