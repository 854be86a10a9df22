// Random batches on small rings, of which signals, cancels and close end some at random moments: all of it settles, with
// results that a simple model allows, and the bytes that they tell of.
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ops, Ring } from '../../lib/index.js'
import type { Completion, Operation, RingOptions } from '../../lib/index.js'
import { makeFifo } from '../helpers/files.js'
import { patience } from '../helpers/patience.js'
import { refused, ringModes } from '../helpers/ring-modes.js'
import { assertUnused, kernelBefore, notUring, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import type { Seeded } from '../helpers/seeded.js'
import { turns } from '../helpers/stream-events.js'

const [ENOENT, EINTR, EBADF, ETIME, ECANCELED] = [-2, -4, -9, -62, -125]
const content = patterned(8192)
/** Before Linux 5.19 descriptors are looked up as a chain is submitted, so that a wrong one tells EBADF whatever became of those before it. */
const modern = !kernelBefore(5, 19) || Boolean(notUring)
/** Pieces of a write that is two to the kernel. */
const manyPieces = 1100

interface Member {
  operation: Operation
  /** What it gives, where nobody ends it; null: it never ends. */
  result: number | null
  link: 'none' | 'soft' | 'hard'
  /** Where in the target it writes, and what; or what it has read. */
  at?: number
  bytes?: Buffer
  read?: { into: Buffer, at: number }
}

interface Files { source: number, target: number, fifo: number }

class Program {
  /** Each write has a place of its own in the target. */
  #end = 0

  constructor(readonly random: Seeded, readonly files: Files) {}

  batch(chainMax: number, endless: boolean): Member[] {
    const members: Member[] = []
    for (let chains = this.random.between(1, 4); chains > 0; chains--) {
      const length = this.random.between(1, Math.min(chainMax, 6))
      for (let i = 1, left = length; i <= length && left > 0; i++) {
        const member = this.#member(left > 1, endless)
        left -= member.operation.span
        member.link = left <= 0 || i === length ? 'none' : this.random.pick(['soft', 'hard'] as const)
        if (member.link === 'soft') member.operation.link()
        if (member.link === 'hard') member.operation.hardlink()
        if (this.random.between(0, 9) === 0) member.operation.drain()
        if (this.random.between(0, 5) === 0) member.operation.async()
        members.push(member)
      }
    }
    return members
  }

  #member(roomForTwo: boolean, endless: boolean): Member {
    const { random, files } = this
    const of = (operation: Operation, result: number | null): Member => ({ operation, result, link: 'none' })
    switch (random.between(0, endless ? 9 : 7)) {
      case 0: return of(ops.nop(), 0)
      case 1: return modern ? of(ops.read(999_999, Buffer.alloc(1)), EBADF) : of(ops.nop(), 0)
      case 2: return of(ops.timeout(random.between(0, 2)), ETIME)
      case 3: return of(ops.openat('/nowhere/at/all'), ENOENT)
      case 4: {
        const at = random.between(0, content.length - 1)
        const into = Buffer.alloc(random.between(1, 3000))
        return { ...of(ops.read(files.source, into, at), Math.min(into.length, content.length - at)), read: { into, at } }
      }
      case 5: return of(ops.fsync(files.target), 0)
      case 6: return this.#write(random.between(1, 3000), 1)
      case 7: return roomForTwo ? this.#write(manyPieces * random.between(1, 3), manyPieces) : of(ops.nop(), 0)
      case 8: return of(notUring ? ops.timeout(600_000) : ops.read(files.fifo, Buffer.alloc(1)), null)
      default: return of(ops.timeout(600_000), null)
    }
  }

  #write(length: number, pieces: number): Member {
    const at = this.#end
    this.#end += length
    const bytes = this.random.bytes(length)
    const each = length / pieces
    const parts = Array.from({ length: pieces }, (_, i) => bytes.subarray(i * each, (i + 1) * each))
    const operation = pieces === 1 ? ops.write(this.files.target, bytes, at) : ops.writev(this.files.target, parts, at)
    return { operation, result: length, link: 'none', at, bytes }
  }
}

/** What is wrong with the completions of a batch, if anything is. */
function fault(members: Member[], completions: Completion[], disturbed: boolean, target: number): string | null {
  let broken = false
  for (const [i, { operation, result: expected, link, at, bytes, read }] of members.entries()) {
    const { result } = completions[i]
    const told = `member ${i} (${operation.syscall}, ${link}): ${result} instead of ${broken ? ECANCELED : expected}`
    const partly = disturbed && bytes !== undefined && result > 0 && result < bytes.length && result % 1024 === 0
    // A worker of the kernel's that is stopped says EINTR.
    const ended = disturbed && (result === ECANCELED || (expected === null && result === EINTR))
    if (broken ? result !== ECANCELED : result !== expected && !ended && !partly) return told
    const full = read === undefined ? result >= 0 : result === read.into.length
    if (link === 'none') broken = false
    else if (link === 'soft' && (!full || partly)) broken = true
    if (read !== undefined && result > 0 && !read.into.subarray(0, result).equals(content.subarray(read.at, read.at + result))) return `${told}: wrong bytes`
    if (bytes === undefined) continue
    const there = Buffer.alloc(bytes.length)
    readSync(target, there, 0, there.length, at!)
    const done = Math.max(result, 0)
    if (!there.equals(Buffer.concat([bytes.subarray(0, done), Buffer.alloc(bytes.length - done)]))) return `${told}: other bytes written`
  }
  return null
}

async function round(t: Test, random: Seeded, files: Files, modes: readonly RingOptions[]): Promise<void> {
  const entries = 2 ** random.between(0, 6)
  const ring = new Ring({ ...random.pick(modes), entries, cqEntries: entries * random.pick([1, 2, 4]) + 1 })
  const program = new Program(random, files)
  const all = Array.from({ length: random.between(1, 8) }, async () => {
    await turns(random.between(0, 3))
    const controller = random.chance() ? new AbortController() : null
    const members = program.batch(ring.engine.chainMax, controller !== null)
    const operations = members.map(({ operation }) => operation)
    const batch = ring.batch(operations, { signal: controller?.signal })
    const ended = batch.catch((error: Error & { completions?: Completion[] }) => error.completions ?? Promise.reject(error))
    ended.catch(() => {}) // it is awaited later
    const meant = random.chance() ? random.pick(operations) : null
    if (meant !== null) {
      await turns(random.between(0, 2))
      ring.submit(ops.cancel(meant)).catch(() => {}) // it may have ended, or not begun
    }
    await turns(random.between(0, 4))
    controller?.abort()
    const wrong = fault(members, await ended, controller !== null || meant !== null, files.target)
    if (wrong !== null) t.fail(wrong)
  })
  const results = Promise.allSettled(all)
  await turns(random.between(0, 12))
  const closed = random.chance() ? ring.close() : null
  for (const outcome of await results) {
    if (outcome.status === 'rejected' && !(closed !== null && outcome.reason.code === 'ERR_INVALID_STATE')) t.fail(outcome.reason.stack)
  }
  await (closed ?? ring.close())
  assertUnused(t, ring)
}

ringTest('random batches that are ended at random moments settle as they may', async t => {
  const random = seededFor(t)
  const directory = t.testdir()
  writeFileSync(join(directory, 'source'), content)
  const rounds = Number(process.env.TEST_ROUNDS ?? Math.ceil(60 / patience))
  const fifo = openSync(makeFifo(join(directory, 'fifo')), 'r+')
  const source = openSync(join(directory, 'source'), 'r')
  const modes: RingOptions[] = [{}]
  for (const options of Object.values(ringModes)) if (await refused(options) === false) modes.push(options)
  for (let i = 0; i < rounds; i++) {
    const target = openSync(join(directory, 'target'), 'w+')
    await round(t, random, { source, target, fifo }, modes)
    closeSync(target)
  }
  for (const fd of [fifo, source]) closeSync(fd)
})
