// copyFile: every byte arrives, and holes stay holes.
import { execFileSync } from 'node:child_process'
import { appendFileSync, ftruncateSync, openSync, closeSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { copyFile, Ring } from '../../lib/index.js'
import type { CopyOptions } from '../../lib/index.js'
import { dataOf } from '../../lib/file-calls.js'
import type { Extent } from '../../lib/file-calls.js'
import { forget, makeFifo, makeFile } from '../helpers/files.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeSharedRings, notUring, ringTest, withRing } from '../helpers/ring-state.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { sha256OfFile } from '../helpers/copy-tool.js'
import { turns } from '../helpers/stream-events.js'

makeSharedRings()

const MiB = 1024 * 1024
const chunkSize = 64 * 1024
const engines = ['uring', 'threads'] as const

async function assertCopied(t: Test, source: string, target: string, options: CopyOptions): Promise<void> {
  const { bytes, seconds, method } = await copyFile(source, target, options)
  t.equal(sha256OfFile(target), sha256OfFile(source), `the bytes of ${source}`)
  t.equal(bytes, statSync(source).size)
  t.ok(Number.isFinite(seconds) && seconds >= 0) // 0 by a clock of 4 ms
  t.match(method, /^(clone|buffered|direct)$/)
}

for (const engine of engines) {
  const skip = engine === 'uring' && notUring
  ringTest(`files of every size around a chunk arrive whole (${engine})`, async t => {
    const directory = t.testdir()
    const edges = [0, chunkSize, 2 * chunkSize, 4 * chunkSize, 9 * chunkSize]
    const lengths = new Set([1, 511, 512, 513, 4095, 4096, 4097])
    for (const edge of edges) for (const by of [-1, 0, 1]) if (edge + by >= 0) lengths.add(edge + by)
    for (const length of lengths) {
      const source = makeFile(join(directory, `source-${length}`), length)
      for (const depth of [1, 4]) {
        const target = join(directory, `target-${length}`)
        await assertCopied(t, source.path, target, { engine, chunkSize, depth, reflink: 'never' })
      }
    }
  }, skip)

  ringTest(`random sizes, chunks and depths arrive whole (${engine})`, async t => {
    const random = seededFor(t)
    const directory = t.testdir()
    for (let i = 0; i < 15; i++) {
      const source = makeFile(join(directory, 'source'), random.between(0, 3 * MiB))
      await assertCopied(t, source.path, join(directory, 'target'),
        { engine, chunkSize: random.between(1000, MiB), depth: random.between(1, 20), reflink: 'never' })
    }
  }, skip)

  ringTest(`the defaults copy what is in the page cache and what is not (${engine})`, async t => {
    const directory = t.testdir()
    const source = makeFile(join(directory, 'source'), 5 * MiB + 17)
    await assertCopied(t, source.path, join(directory, 'hot'), { engine })
    forget(source.path)
    await assertCopied(t, source.path, join(directory, 'cold'), { engine })
  }, skip || notLinux)

  ringTest(`a file with holes keeps them, and its length where it ends with one (${engine})`, async t => {
    const directory = t.testdir()
    const source = join(directory, 'source')
    const fd = openSync(source, 'w')
    const content = patterned(100_000)
    // More extents than one look finds.
    for (let i = 0; i < 300; i++) writeSync(fd, content, 0, 5000, i * 64 * 1024 + i)
    writeSync(fd, content, 0, content.length, 40 * MiB + 123)
    ftruncateSync(fd, 1024 * MiB + 5)
    closeSync(fd)
    const target = join(directory, 'target')
    const { bytes, operations } = await copyFile(source, target, { engine, reflink: 'never' })
    t.equal(bytes, 1024 * MiB + 5)
    t.ok(statSync(target).blocks <= statSync(source).blocks, `${statSync(target).blocks} blocks, ${statSync(source).blocks} in the source`)
    t.same(await extentsOf(target), await extentsOf(source))
    t.ok(operations < 1000, `${operations} operations`)
    execFileSync('cmp', [source, target])
  }, skip || notLinux)

  ringTest(`a file of nothing but a hole is one (${engine})`, async t => {
    const directory = t.testdir({ source: '' })
    truncateSync(join(directory, 'source'), 100 * 1024 * MiB)
    const { bytes } = await copyFile(join(directory, 'source'), join(directory, 'target'), { engine, reflink: 'never' })
    t.equal(bytes, 100 * 1024 * MiB)
    t.equal(statSync(join(directory, 'target')).size, 100 * 1024 * MiB)
    t.equal(statSync(join(directory, 'target')).blocks, 0)
  }, skip || notLinux)

  ringTest(`a target that is longer ends where the source does (${engine})`, async t => {
    const directory = t.testdir({ target: patterned(MiB) })
    const source = makeFile(join(directory, 'source'), 70_000)
    await assertCopied(t, source.path, join(directory, 'target'), { engine, reflink: 'never' })
    truncateSync(source.path, 0)
    await assertCopied(t, source.path, join(directory, 'target'), { engine, reflink: 'never' })
  }, skip)

  ringTest(`a file that does not know its size, and a pipe, are copied to their end (${engine})`, async t => {
    const directory = t.testdir()
    const target = join(directory, 'target')
    const { bytes } = await copyFile('/proc/version', target, { engine })
    t.equal(readFileSync(target, 'utf8'), readFileSync('/proc/version', 'utf8'))
    t.equal(bytes, statSync(target).size)
    const content = patterned(300_001)
    const fifo = makeFifo(join(directory, 'fifo'))
    const source = join(directory, 'source')
    writeFileSync(source, content)
    const [there, back] = await Promise.all([copyFile(source, fifo, { engine }), copyFile(fifo, target, { engine })])
    t.equal(there.bytes, content.length)
    t.equal(back.bytes, content.length)
    t.equal(sha256OfFile(target), sha256(content))
  }, skip || notLinux)

  ringTest(`a pipe waits for its reader (${engine})`, async t => {
    const directory = t.testdir({ source: 'x' })
    const fifo = makeFifo(join(directory, 'fifo'))
    const copied = copyFile(join(directory, 'source'), fifo, { engine }).then(({ bytes }) => bytes, (error: Error) => error)
    const refused = await Promise.race([copied, turns(20)])
    if (refused !== undefined) throw refused
    t.equal(await readFile(fifo, 'utf8'), 'x')
    t.equal(await copied, 1)
  }, skip || notLinux)

  ringTest(`a source that grows is copied to its new end, one that shrinks to where it ended (${engine})`, async t => {
    const directory = t.testdir()
    const target = join(directory, 'target')
    const source = makeFile(join(directory, 'source'), 40 * chunkSize)
    const more = patterned(3 * chunkSize + 1, 7)
    let grown = false
    await copyFile(source.path, target, { engine, chunkSize, depth: 2, reflink: 'never', bytesPerSecondMax: 20 * MiB, onProgress() {
      if (!grown) appendFileSync(source.path, more)
      grown = true
    } })
    t.ok(grown, 'it grew meanwhile')
    t.equal(sha256OfFile(target), sha256(Buffer.concat([source.content, more])))
    let cut = 0
    await copyFile(source.path, target, { engine, chunkSize, depth: 2, reflink: 'never', bytesPerSecondMax: 20 * MiB, onProgress({ copiedBytes }) {
      if (cut === 0) truncateSync(source.path, cut = copiedBytes + 10 * chunkSize + 5)
    } })
    t.ok(cut > 0 && cut < source.content.length, `it was cut to ${cut} bytes meanwhile`)
    t.equal(sha256OfFile(target), sha256(source.content.subarray(0, cut)))
  }, skip)
}

ringTest('rings too small for the copy, and those without links, copy as well', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 2 * MiB + 3)
  for (const options of [{ entries: 1, cqEntries: 2 }, { entries: 2, cqEntries: 4 }, { engine: 'threads' as const }]) {
    await withRing(t, options, async ring => {
      await assertCopied(t, source.path, join(directory, 'target'), { ring, chunkSize, depth: 8, reflink: 'never' })
    })
  }
}, notUring)

ringTest('many copies at once share the ring', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), MiB + 1)
  await Promise.all(Array.from({ length: 50 }, (_, i) => copyFile(source.path, join(directory, `target-${i}`), { reflink: 'never' })))
  for (let i = 0; i < 50; i++) t.equal(sha256OfFile(join(directory, `target-${i}`)), source.sha256)
  t.equal(Ring.shared().stats().queued, 0)
})

async function extentsOf(path: string): Promise<Extent[]> {
  const fd = openSync(path, 'r')
  const extents: Extent[] = []
  for await (const extent of dataOf(fd, 0, statSync(path).size)) extents.push(extent)
  closeSync(fd)
  return extents
}
