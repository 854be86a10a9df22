import { once } from 'node:events'
import { statSync, fstatSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream } from '../../lib/index.js'
import { isOpenOn, streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, countEvents, next, properties, readAll, recordEvents, turns, workedOn } from '../helpers/stream-events.js'

const NAMES = ['open', 'ready', 'data', 'end', 'error', 'close']

streamTest('the order is open, ready, data, end, close', async t => {
  const file = join(t.testdir({ file: patterned(5000) }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 1000 })
  const seen = recordEvents(stream, NAMES)
  await closing(stream)
  t.same(seen, ['open', 'ready', 'data', 'end', 'close'])
})

streamTest('an empty file gives no data', async t => {
  const file = join(t.testdir({ file: '' }), 'file')
  const stream = createUringReadStream(file)
  const seen = recordEvents(stream, NAMES)
  await closing(stream)
  t.same(seen, ['open', 'ready', 'end', 'close'])
})

streamTest('a file that does not exist gives error, close', async t => {
  const stream = createUringReadStream(join(t.testdir(), 'missing'))
  const seen = recordEvents(stream, NAMES)
  t.equal((await closing(stream))?.code, 'ENOENT')
  t.same(seen, ['error', 'close'])
})

streamTest('a directory gives open, ready, error, close', async t => {
  const stream = createUringReadStream(t.testdir())
  const seen = recordEvents(stream, NAMES)
  t.equal((await closing(stream))?.code, 'EISDIR')
  t.same(seen, ['open', 'ready', 'error', 'close'])
})

streamTest('each event comes once', async t => {
  const file = join(t.testdir({ file: patterned(5000) }), 'file')
  const stream = createUringReadStream(file)
  const counts = countEvents(stream, ['open', 'ready', 'end', 'close', 'error'])
  await readAll(stream)
  stream.destroy()
  stream.close()
  await turns(20)
  t.same(counts, { open: 1, ready: 1, end: 1, close: 1, error: 0 })
})

streamTest('nothing is emitted before the caller has had time to listen', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  await Promise.resolve()
  const seen = recordEvents(stream, NAMES)
  await closing(stream)
  t.same(seen, ['open', 'ready', 'data', 'end', 'close'])
  const failing = createUringReadStream(join(file, 'missing'))
  await Promise.resolve()
  t.equal((await closing(failing))?.code, 'ENOTDIR')
})

streamTest('the file is opened although nobody reads, and stays open', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  const seen = recordEvents(stream, ['open', 'ready', 'end', 'close'])
  await next(stream, 'ready')
  await turns(20)
  t.same(seen, ['open', 'ready'])
  t.ok(isOpenOn(properties(stream).fd as number, file))
  t.equal((await readAll(stream)).toString(), 'content', 'a late reader loses nothing')
  t.same(seen, ['open', 'ready', 'end', 'close'])
})

streamTest("'open' is given the descriptor, usable at once; 'ready' is given nothing", async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  let inode: number | undefined
  let readyArguments: unknown[] | undefined
  stream.once('open', (fd: number) => { inode = fstatSync(fd).ino })
  stream.once('ready', (...given: unknown[]) => { readyArguments = given })
  await readAll(stream)
  t.equal(inode, statSync(file).ino)
  t.same(readyArguments, [])
})

streamTest("'close' comes when the descriptor is closed", async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  let fd = -1
  let openAtEnd: boolean | undefined
  let openAtClose: boolean | undefined
  stream.once('open', (opened: number) => { fd = opened })
  stream.once('end', () => { openAtEnd = isOpenOn(fd, file) })
  stream.once('close', () => { openAtClose = isOpenOn(fd, file) })
  await readAll(stream)
  t.equal(openAtEnd, true)
  t.equal(openAtClose, false)
})

streamTest("'end' waits until the last chunk was consumed", async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  const seen = recordEvents(stream, ['end', 'close'])
  let allowed = false
  let text = ''
  const take = () => {
    let chunk: Buffer | null
    while (allowed && (chunk = stream.read() as Buffer | null)) text += chunk.toString()
  }
  const readable = next(stream, 'readable')
  stream.on('readable', take)
  await readable
  await turns(20)
  t.same(seen, [], 'the bytes are there but nobody took them')
  allowed = true
  take()
  await closing(stream)
  t.equal(text, 'content')
  t.same(seen, ['end', 'close'])
})

streamTest("'pause' and 'resume' are told", async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  const seen = recordEvents(stream, ['pause', 'resume', 'end', 'close'])
  stream.pause()
  t.equal(stream.isPaused(), true)
  stream.resume()
  t.equal(stream.isPaused(), false)
  await closing(stream)
  t.same(seen, ['pause', 'resume', 'end', 'close'])
})

streamTest("'end' waits for a consumer that has paused to work on the last chunk", async t => {
  const file = join(t.testdir({ file: patterned(5000) }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 1000 })
  t.equal(await workedOn(stream), 5000)
  await closing(stream)
})

streamTest('an error that a listener of data throws is not swallowed', async t => {
  const file = join(t.testdir({ file: 'content' }), 'file')
  const stream = createUringReadStream(file)
  const thrown = new Error('thrown in a listener')
  const caught = new Promise<Error>(resolve => process.setUncaughtExceptionCaptureCallback(resolve))
  stream.once('data', () => { throw thrown })
  t.equal(await caught, thrown)
  process.setUncaughtExceptionCaptureCallback(null)
  stream.destroy()
  await closing(stream)
})

streamTest("who awaits the last chunk may await 'end' behind it", async t => {
  const path = join(t.testdir({ file: 'content' }), 'file')
  for (let round = 0; round < 5; round++) {
    const stream = createUringReadStream(path)
    const [chunk] = await once(stream, 'data')
    t.equal(String(chunk), 'content')
    await once(stream, 'end')
    await next(stream, 'close')
  }
})
