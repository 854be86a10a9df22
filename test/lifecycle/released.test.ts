// A file that is closed is released: nothing of the ring holds it any longer, not its table of files either.
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWriteStream, open } from '../../lib/index.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFifo } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { endAndClose, thrown } from '../helpers/stream-events.js'

/** Whether a FIFO has a writer: only then there is something to wait for. */
function hasWriter(reader: number): boolean {
  return thrown(() => readSync(reader, Buffer.alloc(1)))?.code === 'EAGAIN'
}

ringTest('a file that is closed is released at once', async t => {
  const fifo = makeFifo(join(t.testdir(), 'fifo'))
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const file = await open(fifo, 'w')
  t.ok(hasWriter(reader))
  await file.close()
  t.notOk(hasWriter(reader), 'of a UringFile')
  await endAndClose(createUringWriteStream(fifo))
  t.notOk(hasWriter(reader), 'of a stream')
  closeSync(reader)
}, notLinux)

ringTest('a file that is closed is released while an operation on another waits', async t => {
  const directory = t.testdir()
  const waiting = await open(makeFifo(join(directory, 'waiting')), 'r+')
  const read = waiting.read(Buffer.alloc(4))
  const fifo = makeFifo(join(directory, 'fifo'))
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const file = await open(fifo, 'w')
  await file.close()
  t.notOk(hasWriter(reader))
  await waiting.write('over')
  t.equal((await read).bytesRead, 4)
  closeSync(reader)
  await waiting.close()
}, notLinux)
