// What node:fs does wrong (Node 20 to 26) and these streams must do right: of the tests in this folder, only those
// in this file fail when lib/ is replaced by node:fs.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, onData, recordEvents, turns, workedOn } from '../helpers/stream-events.js'

const NAMES = ['open', 'ready', 'end', 'finish', 'error', 'close']
const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' }

// A stream of node:fs emits error and close, then opens the file all the same and never closes it.
streamTest('a signal that is aborted already gives AbortError, close, and opens no file', async t => {
  const reason = new Error('the client has gone')
  const signal = AbortSignal.abort(reason)
  const file = join(t.testdir({ file: patterned(300_000) }), 'file')
  const reader = createUringReadStream(file, { signal })
  const readerSaw = recordEvents(reader, NAMES)
  onData(reader, () => t.fail('data after an abort'))
  t.match(await closing(reader), { ...ABORTED, cause: reason })
  const writer = createUringWriteStream(`${file}.new`, { signal })
  const writerSaw = recordEvents(writer, NAMES)
  t.match(await closing(writer), { ...ABORTED, cause: reason })
  await turns(50)
  t.same(readerSaw, ['error', 'close'])
  t.same(writerSaw, ['error', 'close'])
  t.equal(existsSync(`${file}.new`), false)
  t.match([reader.bytesRead, writer.bytesWritten], [0, 0])
})

// A stream of node:fs with an `end` emits 'end' while its consumer is still at work with the last chunk.
streamTest("at the end of a range 'end' waits for a consumer that has paused", async t => {
  const file = join(t.testdir({ file: patterned(5000) }), 'file')
  const stream = createUringReadStream(file, { highWaterMark: 1000, end: 3999 })
  t.equal(await workedOn(stream), 4000)
  await closing(stream)
})

// A stream of node:fs is aborted by `await using`, whatever end() was given.
streamTest('Symbol.asyncDispose writes what was ended', async t => {
  for (const content of ['content', patterned(5_000_000)]) {
    const file = join(t.testdir(), 'file')
    const stream = createUringWriteStream(file)
    const seen = recordEvents(stream, NAMES)
    stream.end(content)
    await (stream as unknown as AsyncDisposable)[Symbol.asyncDispose]()
    t.same(seen, ['open', 'ready', 'finish', 'close'])
    t.ok(readFileSync(file).equals(Buffer.from(content)))
  }
})
