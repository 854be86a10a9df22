// copyFile: ended by its signal, at any moment.
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { Opcode } from '../../lib/engine.js'
import { copyFile, Ring } from '../../lib/index.js'
import { Fifo, sha256OfFile } from '../helpers/copy-tool.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { asOtherUser, notRoot } from '../helpers/other-user.js'
import { makeSharedRings, notUring, ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor, sha256 } from '../helpers/seeded.js'
import { turns, until } from '../helpers/stream-events.js'

makeSharedRings()

const MiB = 1024 * 1024

for (const engine of ['uring', 'threads'] as const) {
  const skip = engine === 'uring' && notUring
  for (const atomic of [false, true]) {
    ringTest(`an abort at any moment leaves no partial target, and nothing open (${engine}${atomic ? ', atomic' : ''})`, async t => {
      const random = seededFor(t)
      const directory = t.testdir()
      const source = makeFile(join(directory, 'source'), 2 * MiB + 11)
      const target = join(directory, 'target')
      let ended = 0
      for (let i = 0; i < 60; i++) {
        const old = random.chance()
        rmSync(target, { force: true })
        if (old) writeFileSync(target, 'precious')
        const controller = new AbortController()
        const copied = copyFile(source.path, target, {
          engine, atomic, signal: controller.signal, chunkSize: 64 * 1024, depth: random.between(1, 8), reflink: 'never'
        }).then(() => null, (error: NodeJS.ErrnoException) => error)
        for (let turns = random.between(0, 60); turns > 0; turns--) await setImmediate()
        const reason = new Error(`number ${i}`)
        controller.abort(reason)
        const error = await copied
        if (error === null) {
          t.equal(sha256OfFile(target), source.sha256, 'it was too late: the whole new file')
        } else {
          ended++
          t.match(error, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
          // Before the target is opened, what was there is untouched.
          if (existsSync(target)) t.ok(old && readFileSync(target, 'utf8') === 'precious', 'the old file')
          else t.notOk(atomic && old, 'with atomic the old file stays')
        }
        t.same(readdirSync(directory).filter(name => name !== 'target'), ['source'], 'no temporary file')
      }
      t.ok(ended > 0, `${ended} of 60 were ended`)
    }, skip)
  }
}

ringTest('a signal that was aborted before opens nothing', async t => {
  const directory = t.testdir({ target: 'precious' })
  const reason = new Error('before')
  await t.rejects(copyFile(join(directory, 'none'), join(directory, 'target'), { signal: AbortSignal.abort(reason) }), { name: 'AbortError', cause: reason })
  t.equal(readFileSync(join(directory, 'target'), 'utf8'), 'precious')
})

ringTest('a copy that waits for a pipe is ended, and its target gone at once', async t => {
  const directory = t.testdir()
  const fifo = new Fifo(join(directory, 'source'))
  const target = join(directory, 'target')
  const controller = new AbortController()
  const copied = copyFile(fifo.path, target, { signal: controller.signal })
  await fifo.feed(Buffer.alloc(MiB))
  t.ok(existsSync(target), 'the copy is in its middle')
  controller.abort()
  t.notOk(existsSync(target), 'not when it has ended: it might never')
  await t.rejects(copied, { name: 'AbortError' })
  fifo.close()
}, notUring || notLinux)

ringTest('a copy that waits for the reader of a pipe is ended as well', async t => {
  const directory = t.testdir({ source: 'x' })
  const fifo = makeFifo(join(directory, 'fifo'))
  const controller = new AbortController()
  const copied = copyFile(join(directory, 'source'), fifo, { signal: controller.signal }).then(() => null, (error: Error) => error)
  for (let turns = 0; turns < 20; turns++) await setImmediate()
  controller.abort()
  t.match(await copied, { name: 'AbortError' })
  t.same(readdirSync(directory), ['fifo', 'source'])
}, notUring || notLinux)

ringTest('a copy that is ended says why its target is still there', async t => asOtherUser(async directory => {
  const target = join(directory, 'target')
  writeFileSync(target, 'old')
  chmodSync(directory, 0o555)
  const controller = new AbortController()
  const copied = copyFile('/dev/zero', target, { signal: controller.signal, onProgress: () => controller.abort() })
  await t.rejects(copied, { name: 'AbortError', notRemoved: { code: 'EACCES', syscall: 'unlink', path: target } })
}), notRoot || notLinux)

ringTest('a copy that waits for its limit is ended as well', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), MiB)
  const controller = new AbortController()
  const copied = copyFile(source.path, join(directory, 'target'), { signal: controller.signal, bytesPerSecondMax: 1, reflink: 'never', onProgress() {} })
  while (!existsSync(join(directory, 'target'))) await setImmediate()
  controller.abort()
  await t.rejects(copied, { name: 'AbortError' })
  t.notOk(existsSync(join(directory, 'target')))
})

for (const engine of ['uring', 'threads'] as const) {
  ringTest(`a copy that is ended while its target opens leaves what was there as it was (${engine})`, async t => {
    const directory = t.testdir({ target: 'precious' })
    const source = makeFile(join(directory, 'source'), MiB)
    const target = join(directory, 'target')
    const ring = Ring.shared(engine)
    const controller = new AbortController()
    const opened: string[] = []
    // At the opening of the target that follows the refusal to make it: the last moment before anything is changed.
    const start = ring.start.bind(ring)
    ring.start = request => {
      if (request.opcode === Opcode.openat) opened.push(String(request.path))
      start(request)
      if (opened.length === 3) controller.abort()
    }
    try {
      await t.rejects(copyFile(source.path, target, { engine, signal: controller.signal, reflink: 'never' }), { name: 'AbortError' })
    } finally {
      delete (ring as Partial<Ring>).start
    }
    t.same(opened, [source.path, target, target])
    t.equal(readFileSync(target, 'utf8'), 'precious')
  }, engine === 'uring' && notUring)
}

ringTest('a signal that many copies share has few listeners', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 100_000)
  const warnings: Error[] = []
  const warned = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', warned)
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 50 }, (_, i) => copyFile(source.path, join(directory, `${i}`), { signal, atomic: true, reflink: 'never' })))
  await setImmediate()
  process.off('warning', warned)
  t.same(warnings, [])
})

ringTest('one that waits for another copy to the same file can be ended, and leaves that its target', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1000)
  const target = join(directory, 'target')
  const fifo = new Fifo(join(directory, 'fifo'))
  const first = copyFile(fifo.path, target)
  await fifo.feed(source.content)
  for (let aborts = 0; aborts < 3; aborts++) {
    const controller = new AbortController()
    const second = copyFile(source.path, target, { signal: controller.signal }).then(() => null, (error: Error) => error)
    for (let turns = 0; turns < 20; turns++) await setImmediate()
    controller.abort()
    t.match(await second, { name: 'AbortError' })
  }
  fifo.close()
  t.equal((await first).bytes, 1000)
  t.equal(sha256OfFile(target), source.sha256)
}, notUring)

ringTest('nor does one remove what it has made and another copy has opened before it', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), 1000)
  const target = join(directory, 'target')
  const fifo = new Fifo(join(directory, 'fifo'))
  const ring = Ring.shared()
  const start = ring.start.bind(ring)
  let goOn: (() => void) | undefined
  // It hears late that the target is made.
  ring.start = request => {
    if (request.opcode === Opcode.openat && String(request.path) === target) {
      delete (ring as Partial<Ring>).start
      const completed = request.completed.bind(request)
      request.completed = (...end) => { goOn = () => completed(...end) }
    }
    start(request)
  }
  const controller = new AbortController()
  const late = copyFile(source.path, target, { signal: controller.signal }).then(() => null, (error: Error) => error)
  await until(() => goOn !== undefined)
  const first = copyFile(fifo.path, target)
  await fifo.feed(patterned(MiB))
  goOn!()
  await turns(20)
  controller.abort()
  t.match(await late, { name: 'AbortError' })
  fifo.close()
  await first
  t.equal(sha256OfFile(target), sha256(patterned(MiB)))
}, notUring || notLinux)
