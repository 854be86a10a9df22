// Copies a text file through a Web TransformStream, in capitals: node web-copy.js SOURCE TARGET
import { TransformStream } from 'node:stream/web'
import { createUringReadableStream, createUringWritableStream } from '../lib/index.js'

const [source, target] = process.argv.slice(2)
if (target === undefined) {
  console.error('usage: web-copy SOURCE TARGET')
  process.exit(2)
}

const decoder = new TextDecoder()
const capitals = new TransformStream<Uint8Array, string>({
  // A character may be cut in two between chunks: the decoder keeps its first half.
  transform: (chunk, controller) => controller.enqueue(decoder.decode(chunk, { stream: true }).toUpperCase()),
  flush: controller => controller.enqueue(decoder.decode().toUpperCase())
})

// No chunk waits in JavaScript but the one that is being transformed, however large the file is. The target is replaced
// when all of it is there: it may be the source, and stays what it was where that cannot be read.
const written = createUringWritableStream(target, { atomic: true })
await createUringReadableStream(source).pipeThrough(capitals).pipeTo(written)
