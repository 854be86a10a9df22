// What node:fs does wrong (Node 20 to 26) and these streams must do right: of the tests in this folder, only those
// in this file fail when lib/ is replaced by node:fs.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { streamTest } from '../helpers/descriptors.js'
import { patterned } from '../helpers/seeded.js'
import { closing, onData, recordEvents, turns } from '../helpers/stream-events.js'

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
