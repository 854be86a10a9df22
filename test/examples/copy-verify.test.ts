/** uring-copy --verify: what is compared is what is on the disk. */
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Copy } from '../../examples/copy/copy.js'
import { Job } from '../../examples/copy/job.js'
import type { Stage } from '../../examples/copy/verify.js'
import { verify } from '../../examples/copy/verify.js'
import { createUringReadStream } from '../../lib/index.js'
import { copy } from '../helpers/copy-tool.js'
import { isOpenOn, notLinux } from '../helpers/descriptors.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { withImage, withLoopDevice, withMemory } from '../helpers/image.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const never = new AbortController().signal
const MiB = 1024 ** 2
const beginning = (): Stage => ({ phase: null, began: 0, bytes: 0, total: null })
const verified = (source: string, target: string): Promise<void> => verify([{ source, target }], never, beginning())

/** Whether files there are read past the page cache. */
async function isDirect(path: string): Promise<boolean> {
  const stream = createUringReadStream(path, { direct: 'prefer' })
  const closed = closing(stream.resume())
  let direct = false
  stream.once('ready', () => { direct = stream.direct })
  await closed
  return direct
}

ringTest('a disk that has other bytes than were written is found out, though the page cache has the right ones', async t => {
  const source = makeFile(join(t.testdir(), 'source'), MiB + 5)
  await withImage(t, ['mkfs.ext4', '-q', '-F'], 32, async ({ folder, path }) => {
    const target = join(folder, 'target')
    t.equal((await copy(['--verify', '-q', source.path, target])).code, 0)
    if (!await isDirect(target)) return void t.pass('reading the disk', { skip: 'no direct IO in this image' })
    execFileSync('sync', [path])
    const place = readFileSync(path).indexOf(source.content.subarray(8192, 12288))
    t.ok(place > 0, 'a block of the file is in the image')
    const image = openSync(path, 'r+')
    writeSync(image, Buffer.alloc(4096), 0, 4096, place)
    closeSync(image)
    t.ok(readFileSync(target).equals(source.content), 'the page cache')
    await t.rejects(verified(source.path, target), { code: 'ERR_DIFFERENT', message: `'${target}' differs from '${source.path}'` })
  })
}, notDirect)

ringTest('what differs is told, wherever it is', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), MiB + 5)
  const target = join(directory, 'target')
  for (const at of [0, 300_000, source.content.length - 1]) {
    writeFileSync(target, source.content)
    await verified(source.path, target)
    const changed = Buffer.from(source.content)
    changed[at] ^= 1
    writeFileSync(target, changed)
    await t.rejects(verified(source.path, target), { message: /differs/ }, `byte ${at}`)
  }
})

t.test('without direct IO it is read through the page cache: a tmpfs, a ramfs', async t => {
  const [content, other] = [patterned(MiB + 5), patterned(MiB + 5, 3)]
  const check = async (folder: string): Promise<void> => {
    const [one, same, wrong] = ['one', 'same', 'wrong'].map(name => join(folder, name))
    for (const [path, bytes] of [[one, content], [same, content], [wrong, other]] as const) writeFileSync(path, bytes)
    await verified(one, same)
    await t.rejects(verified(one, wrong), { message: /differs/ })
    t.equal((await copy(['--verify', '-q', one, join(folder, 'copied')])).code, 0)
  }
  await withMemory(t, 'tmpfs', check)
  await withMemory(t, 'ramfs', async folder => {
    await check(folder)
    t.equal(await isDirect(join(folder, 'one')), false)
  })
})

/** Records what a copy has to show, each time that changes. */
function recorded(copy: Stage): Stage[] {
  const seen: Stage[] = []
  let bytes = 0
  Object.defineProperty(copy, 'bytes', {
    get: () => bytes,
    set(now: number) {
      bytes = now
      seen.push({ phase: copy.phase, began: copy.began, bytes, total: copy.total })
    }
  })
  return seen
}

ringTest('while it verifies that is shown, from nothing to all, and the figures are those of the copy', async t => {
  const directory = t.testdir({ source: {}, into: {} })
  const at = (name: string): string => join(directory, name)
  const options = { target: at('into'), verify: true, report: 'json' } as const
  for (const name of ['source/one', 'source/two']) makeFile(at(name), 4 * MiB + 5)
  const cases = [
    [new Copy({ ...options, source: at('source/one') }), 4 * MiB + 5],
    [new Job({ ...options, source: at('source/one'), sources: [at('source/one'), at('source/two')], force: true }), 8 * MiB + 10],
    [new Job({ ...options, source: at('source'), recursive: true }), 8 * MiB + 10]
  ] as const
  for (const [copying, total] of cases) {
    const seen = recorded(copying)
    t.match(await copying.run(never), { bytes: total })
    t.same([...new Set(seen.map(({ phase }) => phase))].filter(phase => phase !== 'syncing'), [null, 'verifying'])
    const verifying = seen.filter(({ phase }) => phase === 'verifying')
    t.ok(verifying.every(stage => stage.total === total))
    t.ok(verifying.some(({ bytes }) => bytes > 0 && bytes < total), 'it is seen on its way')
    t.equal(copying.bytes, total)
  }
})

ringTest('one file that differs ends the comparison of all, and nothing is left open', async t => {
  const directory = t.testdir()
  const pairs = Array.from({ length: 40 }, (_, i) => {
    const source = makeFile(join(directory, `source-${i}`), 300_000 + i).path
    const target = join(directory, `target-${i}`)
    writeFileSync(target, i === 3 ? 'other' : readFileSync(source))
    return { source, target }
  })
  const stage = beginning()
  await t.rejects(verify(pairs, never, stage), { message: `'${pairs[3].target}' differs from '${pairs[3].source}'` })
  t.ok(stage.bytes < 39 * 300_000, `${stage.bytes}`)
  await t.rejects(verify(pairs, AbortSignal.abort(), beginning()), { name: 'AbortError' })
})

ringTest('a file that cannot be read is told of when the other one is closed', async t => {
  const directory = t.testdir()
  const target = makeFile(join(directory, 'target'), 20 * MiB).path
  await t.rejects(verify([{ source: join(directory, 'none'), target }], never, beginning()), { code: 'ENOENT' })
  t.notOk(readdirSync('/proc/self/fd').some(fd => isOpenOn(Number(fd), target)))
}, notLinux)

t.test('what cannot be read twice is not verified, and not even opened', { skip: notLinux }, async t => {
  const dir = t.testdir({ source: 'x', into: {} })
  const [source, fifo, into] = [join(dir, 'source'), makeFifo(join(dir, 'fifo')), join(dir, 'into')]
  const message = `uring-copy: --verify reads everything twice, which '${fifo}' does not allow\n`
  for (const args of [[fifo, join(dir, 'new')], [source, fifo], [source, fifo, into]]) {
    const { code, stderr } = await copy(['--verify', '-q', '--force', ...args])
    t.same({ code, stderr }, { code: 1, stderr: message }, args.join(' '))
  }
  t.same([existsSync(join(dir, 'new')), readdirSync(into)], [false, []])
})

t.test('of a block device only what was copied is compared', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 300_001)
  await withLoopDevice(t, patterned(MiB), 512, async device => {
    for (const options of [[], ['--direct']]) {
      const { code, stdout, stderr } = await copy(['--verify', '--json', '--force', ...options, source.path, device])
      t.same({ code, stderr }, { code: 0, stderr: '' })
      t.equal(JSON.parse(stdout).bytes, 300_001)
    }
  })
})
