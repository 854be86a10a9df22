// copyFiles: many files, as copyFile copies each.
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Opcode } from '../../lib/engine.js'
import { copyFiles, Ring } from '../../lib/index.js'
import type { CopyOptions, CopyProgress, FileToCopy } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFiles } from '../helpers/files.js'
import type { KnownFile } from '../helpers/files.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'

makeSharedRings()

const KiB = 1024
const lengths = [...Array.from({ length: 150 }, (_, i) => i * 37), 128 * KiB, 128 * KiB + 1, 600 * KiB, 3_000_001]

function goals(sources: KnownFile[], into: string): FileToCopy[] {
  mkdirSync(into)
  return sources.map(({ path }, i) => ({ source: path, target: join(into, `${i}`) }))
}

for (const engine of ['uring', 'threads'] as const) {
  const skip = engine === 'uring' && notUring

  ringTest(`files of all sizes are copied, in batches or one by one (${engine})`, async t => {
    const directory = t.testdir()
    const sources = makeFiles(directory, lengths)
    const total = lengths.reduce((sum, length) => sum + length)
    const ways: CopyOptions[] = [{}, { reflink: 'never' }, { preserve: true }, { atomic: true }, { direct: 'prefer' }, { bytesPerSecondMax: 1e9 }]
    for (const [i, options] of ways.entries()) {
      const files = goals(sources, join(directory, `into-${i}`))
      const seen: CopyProgress[] = []
      const done = await copyFiles(files, { engine, ...options, onProgress: progress => { seen.push(progress) } })
      t.match(done, { files: lengths.length, bytes: total })
      t.ok(Number.isFinite(done.seconds) && done.seconds >= 0)
      t.ok(sources.every(({ content }, i) => readFileSync(files[i].target).equals(content)), JSON.stringify(options))
      t.match(seen.at(-1), { copiedBytes: total, totalBytes: total })
      t.ok(seen.every(({ copiedBytes }, i) => copiedBytes >= (seen[i - 1]?.copiedBytes ?? 0)), 'progress never goes back')
    }
  }, skip)

  ringTest(`links are followed, small and large (${engine})`, async t => {
    const directory = t.testdir()
    const sources = makeFiles(directory, [1000, 600 * KiB])
    const files = sources.map((_, i) => ({ source: join(directory, `link-${i}`), target: join(directory, `copy-${i}`) }))
    sources.forEach(({ path }, i) => symlinkSync(path, files[i].source))
    await copyFiles(files, { engine })
    t.ok(sources.every(({ content }, i) => readFileSync(files[i].target).equals(content)))
  }, skip)

  ringTest(`a file that fails ends the others, with copyFile's error, and leaves no part of itself (${engine})`, async t => {
    const directory = t.testdir({ into: { 3: 'precious' } })
    const sources = makeFiles(directory, [10, 10, 10, 10, 30_000_001])
    const files = sources.map(({ path }, i) => ({ source: path, target: join(directory, 'into', `${i}`) }))
    const there = { code: 'EEXIST', syscall: 'open', path: files[3].source, dest: files[3].target }
    await t.rejects(copyFiles(files, { engine, force: false }), there)
    t.equal(readFileSync(files[3].target, 'utf8'), 'precious')
    // 3 MB were there before the failure one time in a hundred.
    const large = existsSync(files[4].target) ? readFileSync(files[4].target) : sources[4].content
    t.ok(large.equals(sources[4].content), 'the large one is ended, or was copied before')
    await t.rejects(copyFiles([{ source: join(directory, 'none'), target: join(directory, 'new') }], { engine }), { code: 'ENOENT', syscall: 'open' })
    await t.rejects(copyFiles(files, { engine, onProgress() { throw new Error('enough') } }), { message: 'enough' })
    await copyFiles(files, { engine })
    t.same(readdirSync(join(directory, 'into')), ['0', '1', '2', '3', '4'], 'force is the default')
    t.equal(statSync(files[3].target).size, 10)
  }, skip)

  ringTest(`names of one file get one of the sources whole, never a mixture (${engine})`, async t => {
    const directory = t.testdir({ into: { 0: 'old' }, fresh: {} })
    const sources = makeFiles(directory, [300_000, 460_000, 350_001, 2_000_000])
    const files = (folder: string): FileToCopy[] => sources.map(({ path }, i) => ({ source: path, target: join(directory, folder, `${i}`) }))
    linkSync(join(directory, 'into/0'), join(directory, 'into/1'))
    symlinkSync('1', join(directory, 'into/2'))
    symlinkSync('../into/0', join(directory, 'into/3'))
    // Of one that is not there yet, all but the first find what that has made.
    const fresh = files('fresh').map(({ source }) => ({ source, target: join(directory, 'fresh/0') }))
    for (let round = 0; round < 5; round++) {
      for (const all of [files('into'), fresh]) {
        await copyFiles(all, { engine })
        const found = readFileSync(all[0].target)
        t.ok(sources.some(({ content }) => content.equals(found)), `${found.length} bytes of one source`)
      }
    }
  }, skip)

  ringTest(`an abort ends all of them (${engine})`, async t => {
    const directory = t.testdir()
    const sources = makeFiles(directory, Array.from({ length: 30 }, () => 300_000))
    const files = goals(sources, join(directory, 'into'))
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = ({ copiedBytes }: CopyProgress): void => { if (copiedBytes > 0) controller.abort(reason) }
    await t.rejects(copyFiles(files, { engine, signal: controller.signal, onProgress }), { name: 'AbortError', cause: reason })
    for (const name of readdirSync(join(directory, 'into'))) t.ok(readFileSync(join(directory, 'into', name)).equals(sources[Number(name)].content), 'whole')
    await t.rejects(copyFiles(files, { engine, signal: controller.signal }), { name: 'AbortError', cause: reason })
  }, skip)
}

ringTest('what is copied once more, because there were too many files open, counts once', async t => {
  const directory = t.testdir({ source: 'x'.repeat(1000) })
  const ring = Ring.shared()
  const start = ring.start.bind(ring)
  let refused = 0
  ring.start = request => {
    // When all is written the name's directory is opened, to be synced.
    if (request.opcode !== Opcode.openat || String(request.path) !== directory || refused++ > 0) return start(request)
    process.nextTick(() => request.completed(-constants.errno.EMFILE, 0))
  }
  try {
    const { bytes } = await copyFiles([{ source: join(directory, 'source'), target: join(directory, 'target') }], { atomic: true })
    t.equal(bytes, 1000)
  } finally {
    delete (ring as Partial<Ring>).start
  }
  t.equal(refused, 2)
}, notLinux)

ringTest('a file with a hole keeps it, and paths may be Buffers that are no text', async t => {
  const directory = t.testdir()
  const source = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])])
  const target = Buffer.concat([source, Buffer.from('2')])
  writeFileSync(source, 'x')
  await copyFiles([{ source, target }])
  t.equal(readFileSync(target, 'utf8'), 'x')
  truncateSync(source, 100_000)
  await copyFiles([{ source, target }])
  t.equal(statSync(target).size, 100_000)
  t.ok(statSync(target).blocks <= 16, 'the hole')
}, process.platform === 'linux' ? false : 'other names and holes elsewhere')

ringTest('a limit is that of all together', async t => {
  const directory = t.testdir()
  const sources = makeFiles(directory, Array.from({ length: 10 }, () => 20_000))
  const { seconds } = await copyFiles(goals(sources, join(directory, 'into')), { bytesPerSecondMax: 500_000 })
  t.ok(seconds >= 180_000 / 500_000, `${seconds} s`)
})

t.test('what makes no sense is refused', async t => {
  for (const files of [5, undefined, {}]) await t.rejects(copyFiles(files as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.rejects(copyFiles([{ source: 1 as never, target: 'x' }]), { code: 'ERR_INVALID_ARG_TYPE' })
  await t.rejects(copyFiles([], { depth: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  t.match(await copyFiles([]), { files: 0, bytes: 0 })
})
