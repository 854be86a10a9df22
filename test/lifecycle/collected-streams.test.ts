import { open as openHandle } from 'node:fs/promises'
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createUringReadableStream, createUringWritableStream, open, Ring } from '../../lib/index.js'
import { Opcode } from '../../lib/engine.js'
import { createUringReadStream, createUringWriteStream } from '../../lib/streamx.js'
import { isOpenOn } from '../helpers/descriptors.js'
import { makeFifo } from '../helpers/files.js'
import { ringTest, withRing } from '../helpers/ring-state.js'
import { turns, until } from '../helpers/stream-events.js'
import { fileAndTarget } from '../helpers/web-streams.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Collects garbage until the process has been warned. */
async function warning(): Promise<string> {
  let told: Error | undefined
  process.once('warning', each => { told = each })
  while (told === undefined) {
    collect()
    await turns(1)
  }
  return told.message
}

async function readSome(reader: { read(): Promise<unknown> }): Promise<void> {
  await reader.read()
}

/** Each begins and leaves a stream that nobody has when it resolves. */
const unfinished: [string, (source: string, target: string) => Promise<void>][] = [
  ['a readable of which nothing was read', async source => {
    createUringReadableStream(source)
    await until(() => Ring.shared().stats().filesInUse === 1)
  }],
  ['a readable with chunks read ahead', source => readSome(createUringReadableStream(source, { chunkSize: 4096 }).getReader())],
  ['a readable that was read by views', async source => {
    await createUringReadableStream(source).getReader({ mode: 'byob' }).read(new Uint8Array(100_000))
  }],
  ['a readable whose signal lives on', source => readSome(createUringReadableStream(source, { signal: living.signal }).getReader())],
  ['a writable of which nothing was written', async (_source, target) => {
    createUringWritableStream(target)
    await until(() => Ring.shared().stats().filesInUse === 1)
  }],
  ['a writable that has written', async (_source, target) => {
    await createUringWritableStream(target).getWriter().write('written')
    await until(() => readFileSync(target).toString() === 'written')
  }],
  ['a streamx Readable that is paused', async source => {
    const stream = createUringReadStream(source, { chunkSize: 4096, buffers: 'leased' })
    await new Promise<void>(resolve => stream.on('data', () => {
      stream.pause()
      resolve()
    }))
  }],
  ['a streamx Writable that has written', async (_source, target) => {
    createUringWriteStream(target).write('written')
    await until(() => existsSync(target) && readFileSync(target).toString() === 'written')
  }]
]
const living = new AbortController()

for (const [what, leave] of unfinished) {
  ringTest(`${what} is closed when it is collected, with a warning`, async t => {
    const { file, target } = fileAndTarget(t, 1 << 20)
    await leave(file.path, target)
    t.match(await warning(), /^Closing file descriptor \d+ on garbage collection: a stream was neither /)
    await until(() => Ring.shared().stats().filesInUse === 0 && Ring.shared().stats().inFlight === 0)
    t.match(Ring.shared().stats(), { ready: 0, buffersInUse: 0 })
  })
}

for (const direct of [false, 'prefer'] as const) {
  ringTest(`a file, direct: ${direct}, is closed when it is collected, and not while a read waits for bytes`, async t => {
    const { file: { path } } = fileAndTarget(t, 10_000)
    const fifo = openSync(makeFifo(`${path}.fifo`), 'r+')
    const reading = open(`${path}.fifo`, 'r+').then(file => file.read(Buffer.alloc(4), 0, 4))
    const { fd } = await open(path, 'r', { direct })
    t.equal(await warning(), `Closing file descriptor ${fd} on garbage collection: a file was not closed`)
    await until(() => Ring.shared().stats().filesInUse === 1 && !isOpenOn(fd, path))
    const told = warning() // of the other: it collects all the time
    await turns(5)
    writeSync(fifo, 'done')
    t.equal((await reading).bytesRead, 4, 'it was still open')
    await told
    await until(() => Ring.shared().stats().filesInUse === 0)
    closeSync(fifo)
  })
}

ringTest('what somebody waits for is not collected', async t => {
  const { file, target } = fileAndTarget(t, 200_000)
  let warnings = 0
  const warned = (): void => { warnings++ }
  process.on('warning', warned)
  let bytes = 0
  const piped = createUringReadableStream(file.path, { chunkSize: 20_000 }).pipeThrough(new TransformStream({
    transform(chunk, controller) {
      collect()
      bytes += chunk.length
      controller.enqueue(chunk)
    }
  })).pipeTo(createUringWritableStream(target))
  await piped
  t.equal(bytes, 200_000)
  t.ok(readFileSync(target).equals(file.content))
  await turns(3)
  process.off('warning', warned)
  t.equal(warnings, 0)
})

ringTest('who waits for a view is told of the end, or of an error, if garbage is collected before the file is closed', async t => {
  const { file, directory } = fileAndTarget(t, 1000)
  await withRing(t, {}, async ring => {
    let closings = 0
    const start = ring.engine.start.bind(ring.engine)
    ring.engine.start = request => {
      if (request.opcode !== Opcode.close) return start(request)
      setImmediate(() => {
        collect()
        closings++
        start(request)
      })
    }
    const told: string[] = []
    // Nobody but itself has the reader, nor is anybody waiting for it.
    const read = async (path: string): Promise<void> => {
      const reader = createUringReadableStream(path, { ring }).getReader({ mode: 'byob' })
      while (!(await reader.read(new Uint8Array(100_000))).done);
    }
    for (const path of [file.path, directory]) read(path).then(() => told.push('end'), error => told.push(error.code))
    await until(() => closings === 2)
    await ring['idle']()
    await turns(1)
    t.same(told.sort(), ['EISDIR', 'end'])
  })
})

ringTest('a stream that is not to close its file leaves it open, without a warning', async t => {
  const { file } = fileAndTarget(t, 1 << 20)
  const handle = await openHandle(file.path)
  let warnings = 0
  const warned = (): void => { warnings++ }
  process.on('warning', warned)
  await readSome(createUringReadableStream('ignored', { fd: handle, autoClose: false }).getReader())
  while (Ring.shared().stats().filesInUse > 0 || Ring.shared().stats().inFlight > 0) {
    collect()
    await turns(1)
  }
  const { buffer } = await handle.read(Buffer.alloc(10), 0, 10, 0)
  t.ok(buffer.equals(file.content.subarray(0, 10)))
  process.off('warning', warned)
  t.equal(warnings, 0)
  await handle.close()
})
