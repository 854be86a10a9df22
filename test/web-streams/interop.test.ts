import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { CompressionStream, DecompressionStream, TransformStream } from 'node:stream/web'
import { MessageChannel, Worker } from 'node:worker_threads'
import { gunzipSync } from 'node:zlib'
import { createUringReadableStream, createUringWritableStream, Ring } from '../../lib/index.js'
import { ringTest } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'
import { until } from '../helpers/stream-events.js'
import { bytesOfStream, fileAndTarget, rejection } from '../helpers/web-streams.js'

ringTest('pipeThrough a CompressionStream into a file, and back', async t => {
  const { file, target } = fileAndTarget(t, 2_000_000)
  await createUringReadableStream(file.path)
    .pipeThrough(new CompressionStream('gzip'))
    .pipeTo(createUringWritableStream(target))
  t.equal(sha256(gunzipSync(readFileSync(target))), file.sha256)
  const back = createUringReadableStream(target).pipeThrough(new DecompressionStream('gzip'))
  t.equal(sha256(await bytesOfStream(back)), file.sha256)
})

ringTest('a transform that fails ends both files', async t => {
  const { file, target } = fileAndTarget(t, 2_000_000)
  let chunks = 0
  const failing = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      if (++chunks === 3) throw new RangeError('third')
      controller.enqueue(chunk)
    }
  })
  const piped = createUringReadableStream(file.path, { chunkSize: 10_000 }).pipeThrough(failing).pipeTo(createUringWritableStream(target))
  t.match(await rejection(piped), { message: 'third' })
  await until(() => Ring.shared().stats().filesInUse === 0)
})

ringTest('a Response reads it', async t => {
  const { file } = fileAndTarget(t, 2_000_000)
  const whole = await new Response(createUringReadableStream(file.path) as any).arrayBuffer()
  t.equal(sha256(new Uint8Array(whole)), file.sha256)
  const part = createUringReadableStream(file.path, { start: 10, end: 29 }) as any
  t.equal(await new Response(part).text(), file.content.subarray(10, 30).toString())
})

ringTest('a Response that is cancelled closes the file', async t => {
  const { file } = fileAndTarget(t, 2_000_000)
  const response = new Response(createUringReadableStream(file.path) as any)
  await response.body!.cancel()
})

ringTest('fetch sends it, and its answer is written', async t => {
  const { file, target } = fileAndTarget(t, 3_000_000)
  const server = createServer((request, response) => { request.pipe(response) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST', body: createUringReadableStream(file.path) as any, duplex: 'half', headers: { connection: 'close' }
  } as RequestInit)
  await (response.body as any).pipeTo(createUringWritableStream(target))
  server.close()
  await once(server, 'close')
  t.equal(sha256(readFileSync(target)), file.sha256)
})

ringTest('a fetch that its server refuses closes the file', async t => {
  const { file } = fileAndTarget(t, 30_000_000)
  const server = createServer(request => { request.socket.destroy() }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const failure = await rejection(fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST', body: createUringReadableStream(file.path) as any, duplex: 'half'
  } as RequestInit))
  t.ok(failure instanceof TypeError)
  await until(() => Ring.shared().stats().filesInUse === 0)
  server.close()
  await once(server, 'close')
})

ringTest('transferred to a worker, the file\'s bytes arrive there and come back into another file', async t => {
  const { file, target } = fileAndTarget(t, 3_000_000)
  const readable = createUringReadableStream(file.path)
  const writable = createUringWritableStream(target)
  const worker = new Worker(`
    require('node:worker_threads').parentPort.once('message', async ({ readable, writable }) => {
      await readable.pipeTo(writable)
    })`, { eval: true, stdin: false, env: {} })
  worker.postMessage({ readable, writable }, [readable, writable] as any)
  t.same([readable.locked, writable.locked], [true, true])
  await once(worker, 'exit')
  await until(() => Ring.shared().stats().filesInUse === 0)
  t.equal(sha256(readFileSync(target)), file.sha256)
})

ringTest('a locked stream, or one that is not in the list, is refused with a DataCloneError', async t => {
  const { file } = fileAndTarget(t, 1000)
  const { port1 } = new MessageChannel()
  const stream = createUringReadableStream(file.path)
  t.throws(() => port1.postMessage(stream), { message: /not listed in transferList/ })
  const reader = stream.getReader()
  t.throws(() => port1.postMessage(stream, [stream as any]), { name: 'DataCloneError' })
  t.equal(Buffer.from((await reader.read()).value!).length, 1000)
  await reader.cancel()
  port1.close()
})

ringTest('stream/consumers read it', async t => {
  const { file } = fileAndTarget(t, 300_000)
  t.ok((await buffer(createUringReadableStream(file.path))).equals(file.content))
})
