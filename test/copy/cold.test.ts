// A large source that is not in the page cache is read past it.
import { closeSync, openSync, readFileSync, readSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { cacheStep } from '../../lib/copy-direct.js'
import { copyFile } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { withOverlay } from '../helpers/image.js'
import { cached, forgottenObstacle, readFromDisks } from '../helpers/page-cache.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'

makeSharedRings()

const size = 9_000_001
/** More than twice of what kernels read ahead. */
const coldPart = 40_000_000
const piece = Buffer.alloc(1024 * 1024)

/** It is in the page cache then. */
function readBeginning(path: string, length: number): void {
  const fd = openSync(path, 'r')
  for (let at = 0; at < length;) at += readSync(fd, piece, 0, Math.min(piece.length, length - at), at)
  closeSync(fd)
}

async function withSource(t: Test, body: (source: { path: string, content: Buffer }, target: string) => Promise<void>, bytes = size): Promise<void> {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), bytes)
  const reason = await forgottenObstacle(source.path)
  if (reason === false) await body(source, join(directory, 'target'))
  else t.pass('a cold source', { skip: reason })
}

for (const engine of ['uring', 'threads'] as const) {
  const skip = engine === 'uring' && notUring
  ringTest(`a cold source stays cold (${engine})`, t => withSource(t, async ({ path, content }, target) => {
    const { method, bytes } = await copyFile(path, target, { engine, reflink: 'never' })
    t.same([method, bytes], ['buffered', size])
    t.equal(await cached(path, 0, size), 0)
    t.equal(sha256(readFileSync(target)), sha256(content))
  }), skip)

  ringTest(`one of which much is in the page cache is read there (${engine})`, t => withSource(t, async ({ path, content }, target) => {
    readFileSync(path)
    await copyFile(path, target, { engine, reflink: 'never' })
    t.ok(await cached(path, 0, size) >= size)
    t.equal(sha256(readFileSync(target)), sha256(content))
  }), skip)

  ringTest(`each of its parts where it is (${engine})`, t => withSource(t, async ({ path, content }, target) => {
    readBeginning(path, cacheStep)
    const before = readFromDisks()
    await copyFile(path, target, { engine, reflink: 'never' })
    // The kernel may have read ahead, over the end of the first part.
    t.ok(await cached(path, cacheStep, coldPart) < coldPart / 2, 'what was cold is cold')
    t.ok(readFromDisks() - before < 2 * coldPart, 'and what was cached was not read again')
    t.equal(sha256(readFileSync(target)), sha256(content))
  }, cacheStep + coldPart), skip)

  ringTest(`and one that has more holes than data, which is in the page cache (${engine})`, t => withSource(t, async ({ path, content }, target) => {
    readFileSync(path)
    truncateSync(path, 100 * size)
    const before = readFromDisks()
    await copyFile(path, target, { engine, reflink: 'never' })
    t.ok(readFromDisks() - before < size / 2)
    truncateSync(target, size)
    t.equal(sha256(readFileSync(target)), sha256(content))
  }), skip)
}

// Its own files have no pages at all.
ringTest('of a file on an overlay nobody can tell', t => withOverlay(t, async folder => {
  const source = makeFile(join(folder, 'source'), size)
  t.ok(await cached(source.path, 0, size) < 0)
  await copyFile(source.path, join(folder, 'target'), { reflink: 'never' })
  t.equal(sha256(readFileSync(join(folder, 'target'))), sha256(source.content))
}))
