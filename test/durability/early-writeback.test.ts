// What is to be on the disk in the end begins to go there while the rest is written.
import { fstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { writebackStep } from '../../lib/early-writeback.js'
import { copyFile, createUringWriteStream } from '../../lib/index.js'
import type { CopyOptions, WriteStreamOptions } from '../../lib/index.js'
import { FileCall, loadNative } from '../../lib/native.js'
import { makeSharedRings, ringTest } from '../helpers/ring-state.js'
import { patterned, sha256 } from '../helpers/seeded.js'
import { closing, endAndClose, turns, writeOne } from '../helpers/stream-events.js'

makeSharedRings()

const piece = 1 << 20
const pieces = Array.from({ length: 3 * writebackStep / piece }, (_, i) => patterned(piece + (i === 0 ? 5 : 0), i + 1))
const digest = sha256(Buffer.concat(pieces))

const addon = loadNative()
const skip = addon instanceof Error && 'without the addon there is no call for it'

interface Call { start: number, length: number }

/** Records the calls, and what was wrong when they ended; `hold` is called with what ends each. */
function recordCalls(t: Test, hold: (end: () => void) => void = end => end()): { calls: Call[], wrong: string[] } {
  const native = addon as Exclude<typeof addon, Error>
  const { fileCall } = native
  const [calls, wrong] = [[] as Call[], [] as string[]]
  let running = 0
  native.fileCall = (call, source, target, numbers, done) => {
    if (call !== FileCall.startWriteback) return fileCall(call, source, target, numbers, done)
    calls.push({ start: numbers[0], length: numbers[1] })
    if (++running > 1) wrong.push('two at once')
    fileCall(call, source, target, numbers, result => hold(() => {
      running--
      if (result < 0) wrong.push(`the kernel says ${result}`)
      if (!fstatSync(source).isFile()) wrong.push('the descriptor is another file\'s')
      done(result)
    }))
  }
  t.teardown(() => { native.fileCall = fileCall })
  return { calls, wrong }
}

async function writeAll(path: string, options: WriteStreamOptions): Promise<void> {
  const stream = createUringWriteStream(path, options)
  for (const each of pieces) await writeOne(stream, each)
  await endAndClose(stream)
}

async function copyAll(directory: string, options: CopyOptions): Promise<void> {
  const source = join(directory, 'source')
  writeFileSync(source, Buffer.concat(pieces))
  await copyFile(source, join(directory, 'file'), { ...options, reflink: 'never' })
}

const durable = [{ flush: true }, { atomic: true }]
const ways: Record<string, ((directory: string) => Promise<void>)[]> = {
  'a stream': durable.map(options => directory => writeAll(join(directory, 'file'), options)),
  'a copy': durable.map(options => directory => copyAll(directory, options))
}

for (const [name, writers] of Object.entries(ways)) {
  ringTest(`${name} that is synced starts the disk early, without gaps`, async t => {
    const { calls, wrong } = recordCalls(t)
    for (const write of writers) {
      const directory = t.testdir()
      calls.length = 0
      await write(directory)
      let reached = 0
      for (const { start, length } of calls) {
        t.equal(start, reached)
        reached += length
      }
      t.ok(calls.length > 0 && reached >= writebackStep)
      t.equal(sha256(readFileSync(join(directory, 'file'))), digest)
    }
    t.same(wrong, [])
  }, skip)
}

ringTest('others leave the disk its time', async t => {
  const { calls } = recordCalls(t)
  const directory = t.testdir()
  await copyAll(directory, {})
  await writeAll(join(directory, 'file'), {})
  await writeAll(join(directory, 'file'), { flush: true, sync: 'data' })
  t.same(calls, [])
  t.equal(sha256(readFileSync(join(directory, 'file'))), digest)
}, skip)

/** Holds the first call's end back until `release`, which tells what was wrong then. */
function holdFirst(t: Test): { held: Promise<void>, release: () => string[] } {
  let first: (() => void) | null = null
  let wrong: string[] = []
  const held = new Promise<void>(resolve => {
    ({ wrong } = recordCalls(t, end => {
      if (first !== null) return end()
      first = end
      resolve()
    }))
  })
  return { held, release: () => (first!(), wrong) }
}

/** Asserts that something has not ended before the call is released. */
async function assertWaits(t: Test, ended: Promise<unknown>, release: () => string[]): Promise<void> {
  let released = false
  const waited = ended.then(() => released)
  await turns(3)
  released = true
  t.same(release(), [])
  t.ok(await waited)
}

ringTest('a stream that is destroyed closes its file when the call is over', async t => {
  const { held, release } = holdFirst(t)
  const stream = createUringWriteStream(join(t.testdir(), 'file'), { flush: true })
  for (const each of pieces) await writeOne(stream, each)
  await held
  const closed = closing(stream)
  stream.destroy()
  await assertWaits(t, closed, release)
}, skip)

ringTest('and so does a copy that is aborted', async t => {
  const { held, release } = holdFirst(t)
  const abort = new AbortController()
  const copied = copyAll(t.testdir(), { flush: true, signal: abort.signal }).catch((error: Error) => error.name)
  await held
  abort.abort()
  await assertWaits(t, copied, release)
  t.equal(await copied, 'AbortError')
}, skip)
