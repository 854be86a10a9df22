// copyFile: what fails, how it says so, and what it leaves.
import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { copyFile, copyFiles } from '../../lib/index.js'
import type { CopyOptions } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { reportOf } from '../helpers/child.js'
import { thrown } from '../helpers/stream-events.js'

makeSharedRings()

const MiB = 1024 * 1024

for (const engine of ['uring', 'threads'] as const) {
  const skip = engine === 'uring' && notUring
  for (const atomic of [false, true]) {
    const how = `${engine}${atomic ? ', atomic' : ''}`
    ringTest(`errors have Node's shape, path and dest, and their cause names the file (${how})`, async t => {
      const directory = t.testdir({ folder: {}, source: 'x', target: 'precious' })
      const at = (name: string): string => join(directory, name)
      const cases: [string, string, CopyOptions, object, string][] = [
        [at('none'), at('target'), {}, { code: 'ENOENT', errno: -2, syscall: 'open' }, `ENOENT: no such file or directory, open '${at('none')}'`],
        [at('folder'), at('target'), {}, { code: 'EISDIR', errno: -21, syscall: 'read' }, `EISDIR: illegal operation on a directory, read '${at('folder')}'`],
        [at('source'), at('folder'), {}, { code: 'EISDIR', errno: -21, syscall: 'open' }, `EISDIR: illegal operation on a directory, open '${at('folder')}'`],
        [at('source'), at('target'), { force: false }, { code: 'EEXIST', errno: -17, syscall: 'open' }, `EEXIST: file already exists, open '${at('target')}'`]
      ]
      for (const [source, target, options, shape, cause] of cases) {
        const error = await failure(source, target, { ...options, engine, atomic })
        t.match(error, { ...shape, path: source, dest: target })
        t.equal(error.message, `${cause.replace(/ '.*/, '')} '${source}' -> '${target}'`)
        t.equal((error.cause as Error).message, cause)
      }
      t.equal(readFileSync(at('target'), 'utf8'), 'precious')
      const missing = join(at('no'), 'target')
      t.match(await failure(at('source'), missing, { engine, atomic }), { code: 'ENOENT', syscall: 'open', path: at('source'), dest: missing })
      t.same(readdirSync(directory).sort(), ['folder', 'source', 'target'], 'and nothing more is there')
    }, skip)

    ringTest(`a file is not copied onto itself, whatever its names (${how})`, async t => {
      const directory = t.testdir({ source: 'precious', other: {} })
      const at = (name: string): string => join(directory, name)
      symlinkSync('source', at('symbolic'))
      linkSync(at('source'), at('hard'))
      for (const target of ['source', 'symbolic', 'hard', 'other/../source']) {
        for (const force of [true, false]) {
          const error = await failure(at('source'), at(target), { engine, atomic, force })
          t.match(error, { code: 'EINVAL', syscall: 'copyfile', path: at('source'), dest: at(target) })
          t.match((error.cause as Error).message, 'are the same file')
        }
      }
      t.equal(readFileSync(at('source'), 'utf8'), 'precious')
      t.same(readdirSync(directory).sort(), ['hard', 'other', 'source', 'symbolic'])
    }, skip)

    ringTest(`a disk that fills up: the target is gone, or the old one with atomic (${how})`, async t => {
      const directory = t.testdir()
      const disk = join(directory, 'disk')
      mkdirSync(disk)
      const refused = thrown(() => execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${MiB}`, 'tmpfs', disk], { stdio: 'pipe' }))
      if (refused !== undefined) {
        t.pass('a small disk', { skip: `it cannot be mounted here: ${refused.message.trim().split('\n').at(-1)}` })
        return
      }
      try {
        const source = makeFile(join(directory, 'source'), 3 * MiB)
        const target = join(disk, 'target')
        for (const old of [null, 'precious']) {
          if (old !== null) writeFileSync(target, old)
          const error = await failure(source.path, target, { engine, atomic, chunkSize: 50_000 })
          t.match(error, { code: 'ENOSPC', syscall: 'write', path: source.path, dest: target })
          t.same(readdirSync(disk), atomic && old !== null ? ['target'] : [], 'what is left')
          if (atomic && old !== null) t.equal(readFileSync(target, 'utf8'), old)
        }
      } finally {
        execFileSync('umount', [disk])
      }
    }, skip || notLinux)
  }

  ringTest(`a device that is full stays (${engine})`, async t => {
    const source = makeFile(join(t.testdir(), 'source'), MiB)
    t.match(await failure(source.path, '/dev/full', { engine }), { code: 'ENOSPC', syscall: 'write', path: source.path, dest: '/dev/full' })
    t.ok(lstatSync('/dev/full').isCharacterDevice())
    t.match(await failure(source.path, '/dev/full', { engine, atomic: true }), { code: 'ERR_INVALID_ARG_VALUE' })
    t.ok(lstatSync('/dev/full').isCharacterDevice())
  }, skip || notLinux)

  t.test(`a file that may not be so large: EFBIG, and no target (${engine})`, { skip: skip || notLinux }, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 3 * MiB)
    const target = join(directory, 'target')
    const error = await reportOf<object>(t, new URL('fixtures/copy-error.js', import.meta.url), [source.path, target, engine],
      { wrap: ['prlimit', `--fsize=${MiB}`] })
    t.match(error, { code: 'EFBIG', syscall: 'write', path: source.path, dest: target })
    t.notOk(existsSync(target))
  })
}

ringTest('a link to a file that fails is left, and the file it leads to removed', async t => {
  const directory = t.testdir({ old: 'old', link: t.fixture('symlink', 'old') })
  const source = makeFile(join(directory, 'source'), MiB)
  await t.rejects(copyFile(source.path, join(directory, 'link'), { reflink: 'never', onProgress() { throw new Error('enough') } }), { message: 'enough' })
  t.notOk(existsSync(join(directory, 'old')))
  t.ok(lstatSync(join(directory, 'link')).isSymbolicLink())
})

ringTest('a link to nothing is one again after a failure', async t => {
  const directory = t.testdir({ source: 'x', link: t.fixture('symlink', 'new') })
  const [source, link] = [join(directory, 'source'), join(directory, 'link')]
  const refused: CopyOptions[] = [{ reflink: 'always' }, { onProgress() { throw new Error('enough') } }]
  for (const options of refused) {
    await t.rejects(copyFile('/proc/version', link, options))
    t.same(readdirSync(directory).sort(), ['link', 'source'])
  }
  await copyFile(source, link)
  t.equal(readFileSync(join(directory, 'new'), 'utf8'), 'x')
}, notLinux)

ringTest('what onProgress throws ends the copy and takes the partial target along', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), MiB)
  const target = join(directory, 'target')
  for (const thrownByUser of [new Error('enough'), thrown(() => readFileSync(join(directory, 'none')))]) {
    for (const atomic of [false, true]) {
      const options: CopyOptions = { atomic, onProgress() { throw thrownByUser } }
      for (const copy of [() => copyFile(source.path, target, options), () => copyFiles([{ source: source.path, target }], options)]) {
        t.equal(await copy().then(() => null, error => error as unknown), thrownByUser, 'the very error')
        t.same(readdirSync(directory), ['source'])
      }
    }
  }
})

ringTest('options that make no sense are refused in Node\'s words, and touch nothing', async t => {
  const directory = t.testdir({ source: 'x' })
  const [source, target] = [join(directory, 'source'), join(directory, 'target')]
  const refused: [object, string][] = [
    [{ force: 1 }, 'ERR_INVALID_ARG_TYPE'], [{ atomic: 'yes' }, 'ERR_INVALID_ARG_TYPE'], [{ flush: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ dropCache: 1 }, 'ERR_INVALID_ARG_TYPE'], [{ direct: 'maybe' }, 'ERR_INVALID_ARG_TYPE'], [{ reflink: true }, 'ERR_INVALID_ARG_VALUE'],
    [{ clone: 'yes' }, 'ERR_INVALID_ARG_TYPE'], [{ clone: true, reflink: 'auto' }, 'ERR_INVALID_ARG_VALUE'],
    [{ onProgress: {} }, 'ERR_INVALID_ARG_TYPE'], [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'], [{ preserve: 'all' }, 'ERR_INVALID_ARG_TYPE'],
    [{ preserve: { mode: 1 } }, 'ERR_INVALID_ARG_TYPE'], [{ bytesPerSecondMax: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ bytesPerSecondMax: 1.5 }, 'ERR_OUT_OF_RANGE'], [{ chunkSize: 0 }, 'ERR_OUT_OF_RANGE'], [{ depth: 1025 }, 'ERR_OUT_OF_RANGE'],
    [{ direct: true, chunkSize: 1000 }, 'ERR_INVALID_ARG_VALUE'], [{ ring: {} }, 'ERR_INVALID_ARG_TYPE'], [{ engine: 'steam' }, 'ERR_INVALID_ARG_VALUE']
  ]
  for (const [options, code] of refused) await t.rejects(copyFile(source, target, options as CopyOptions), { code }, JSON.stringify(options))
  await t.rejects(copyFile(1 as never, target), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.rejects(copyFile(source, 'a\0b'), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(copyFile(source, target, null as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.notOk(existsSync(target))
})

ringTest('paths may be Buffers that are no text, and file URLs', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1000)
  const odd = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])])
  for (const atomic of [false, true]) {
    await copyFile(new URL(`file://${source.path}`), odd, { atomic })
    t.same(readFileSync(odd), patterned(1000, 1001))
    t.equal(statSync(odd).size, 1000)
  }
  t.equal(readdirSync(directory).length, 2)
}, notLinux)

async function failure(source: string, target: string, options: CopyOptions): Promise<NodeJS.ErrnoException & { cause?: unknown }> {
  try {
    await copyFile(source, target, { reflink: 'never', ...options })
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}
