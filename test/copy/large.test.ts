// The target of a copy that would fill the memory is written past the page cache.
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { preallocationPays } from '../../lib/file-calls.js'
import type { CopyOptions } from '../../lib/index.js'
import { copyFile } from '../../lib/index.js'
import { forget, makeFile } from '../helpers/files.js'
import { cached, forgottenObstacle, readFromDisks } from '../helpers/page-cache.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'

makeSharedRings()

const size = 9_000_001
/** The end of a target is cut off in the page cache. */
const tail = 4096

/** For as long as `body` runs. */
async function withMemory(bytes: number, body: () => Promise<void>): Promise<void> {
  const { constrainedMemory } = process
  process.constrainedMemory = () => bytes
  await body().finally(() => { process.constrainedMemory = constrainedMemory })
}

async function obstacle(path: string): Promise<string | false> {
  const fd = openSync(path, 'r')
  const pays = await preallocationPays(fd)
  closeSync(fd)
  return pays ? forgottenObstacle(path) : 'this file system is not ext4, or there is no addon to ask it'
}

type Body = (source: { path: string, sha256: string }, copy: (options?: CopyOptions) => Promise<string>, target: string) => Promise<void>

/** Four times as much memory as the source, and `more` bytes. */
async function withLarge(t: Test, engine: 'uring' | 'threads', more: number, body: Body): Promise<void> {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), size)
  const reason = await obstacle(source.path)
  if (reason !== false) return void t.pass('a copy that fills the memory', { skip: reason })
  const target = join(directory, 'target')
  await withMemory(4 * size + more, () => body(source, async options => {
    const { method, bytes } = await copyFile(source.path, target, { engine, reflink: 'never', ...options })
    t.equal(bytes, size)
    t.equal(sha256(readFileSync(target)), source.sha256)
    return method
  }, target))
}

for (const engine of ['uring', 'threads'] as const) {
  const skip = engine === 'uring' && notUring

  ringTest(`of a source that is there nothing is read from the disk (${engine})`, t => withLarge(t, engine, -10, async ({ path }, _, target) => {
    readFileSync(path)
    const before = readFromDisks()
    const { method } = await copyFile(path, target, { engine, reflink: 'never' })
    t.equal(method, 'direct')
    t.ok(readFromDisks() - before <= tail)
    t.ok(await cached(target, 0, size) <= tail)
    t.equal(sha256(readFileSync(target)), sha256(readFileSync(path)))
  }), skip)

  ringTest(`of one that is not there neither file is afterwards (${engine})`, t => withLarge(t, engine, -10, async ({ path, sha256: expected }, _, target) => {
    const { method } = await copyFile(path, target, { engine, reflink: 'never' })
    t.equal(method, 'direct')
    t.equal(await cached(path, 0, size), 0)
    t.ok(await cached(target, 0, size) <= tail)
    t.equal(sha256(readFileSync(target)), expected)
  }), skip)

  ringTest(`whatever else is asked for, but not where the page cache is (${engine})`, t => withLarge(t, engine, -10, async ({ path }, copy) => {
    for (const options of [{ atomic: true }, { flush: true }, { chunkSize: 100_001, depth: 3 }, { bytesPerSecondMax: 1e9 }]) {
      t.equal(await copy(options), 'direct', JSON.stringify(options))
      forget(path)
    }
    for (const options of [{ direct: false }, { dropCache: true }]) t.equal(await copy(options), 'buffered', JSON.stringify(options))
  }), skip)

  ringTest(`a smaller one goes through the page cache (${engine})`, t => withLarge(t, engine, 1 << 20, async (_, copy) => {
    t.equal(await copy(), 'buffered')
  }), skip)
}
