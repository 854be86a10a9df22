import { Readable, Writable } from 'node:stream'
import t from 'tap'
import { createUringReadStream, createUringWriteStream } from '../../lib/streamx.js'
import type { UringReadStream, UringWriteStream } from '../../lib/streamx.js'

// These lines are tests by being compiled: an error that is expected and not there is an error.
export function mistaken(readable: UringReadStream, writable: UringWriteStream): [Readable, Writable] {
  // @ts-expect-error a streamx stream is no stream.Readable: it has no unpipe, no read(size)
  const nodeReadable: Readable = readable
  // @ts-expect-error nor a stream.Writable: write() takes no callback
  const nodeWritable: Writable = writable
  return [nodeReadable, nodeWritable]
}

export async function sizes(readable: UringReadStream): Promise<number[]> {
  const lengths: number[] = []
  readable.on('data', chunk => lengths.push(chunk.length)).on('data', (chunk: Buffer) => lengths.push(chunk.length))
  for await (const chunk of readable) lengths.push(chunk.length)
  const piped: Writable = readable.pipe(process.stdout)
  return piped.writable ? lengths : []
}

t.test('the streams of streamx do not pretend to be node:stream\'s', async t => {
  const streams = [createUringReadStream('/dev/null'), createUringWriteStream('/dev/null')]
  t.notOk(streams[0] instanceof Readable)
  t.notOk(streams[1] instanceof Writable)
  for (const stream of streams) {
    const closed = new Promise<void>(resolve => stream.on('close', () => resolve()))
    stream.destroy()
    await closed
  }
})
