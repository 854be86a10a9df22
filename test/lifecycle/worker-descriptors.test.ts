// Descriptors when a worker is terminated: none of its own stays, and none of others' goes.
import { closeSync, fstatSync, openSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { makeFile } from '../helpers/files.js'
import { notUring, ringTest } from '../helpers/ring-state.js'

const fixture = new URL('./fixtures/ending-worker.js', import.meta.url)

ringTest('files that were opened, and that nobody was told of, are closed', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 10)
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(fixture, { workerData: { what: 'opens', path } })
    await once(worker, 'message')
    t.equal(await worker.terminate(), 1)
  }
}, notUring)

ringTest('a file that its stream left open and its owner closed is not closed again', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 10)
  const worker = new Worker(fixture, { workerData: { what: 'closes', path }, stderr: true })
  const [closed] = await once(worker, 'message') as [number]
  // The number is the lowest that is free, unless something of Node's is quicker.
  const opened: number[] = []
  do {
    opened.push(openSync(path, 'r'))
  } while (opened.at(-1)! < closed)
  await worker.terminate()
  for (const fd of opened) {
    t.equal(fstatSync(fd).size, 10, `descriptor ${fd}`)
    closeSync(fd)
  }
}, notUring)
