/** A pipe between two of our Web streams, whose chunks are leases: nothing is copied, and no chunk is seen by JavaScript. */
import type { StreamPipeOptions } from 'node:stream/web'
import { ReadableStream, WritableStream } from 'node:stream/web'
import { setImmediate } from 'node:timers/promises'
import { Lease } from './buffers.js'
import type { FileSink } from './file-sink.js'
import type { FileSource } from './file-source.js'

/** The standard wants a TypeError. */
function destinationClosed(): TypeError {
  return Object.assign(new TypeError('Invalid state: the destination is closed'), { code: 'ERR_INVALID_STATE' })
}

/**
 * Pipes as the standard says, because it is the standard's own pipe: between two streams of leases that stand for the
 * two of the caller's, which are locked meanwhile.
 */
export async function pipeLeases(
  readable: ReadableStream, source: FileSource, writable: WritableStream, sink: FileSink, options?: StreamPipeOptions
): Promise<void> {
  const reader = readable.getReader()
  const writer = writable.getWriter()
  /** Taken from the source, not yet the sink's. */
  const held = new Set<Lease>()
  let over = false

  const leases = new ReadableStream<Lease | Buffer>({
    start(controller) {
      reader.closed.catch(error => controller.error(error))
    },
    async pull(controller) {
      await source.opening
      let chunk: Lease | Buffer | null = null
      // What it waited for when the pipe ended is the next reader's.
      while (!over && (chunk = source.takeUnseen(true)) === null) {
        if (await source.mayHaveMore()) continue
        await source.finish()
        await reader.closed
        if (!over) controller.close()
        return
      }
      if (chunk === null) return
      if (chunk instanceof Lease) held.add(chunk)
      controller.enqueue(chunk) // what was read before the pipe began may be no lease
    },
    cancel(reason) {
      over = true
      return reader.cancel(reason)
    }
  }, { highWaterMark: 0 })

  const target = new WritableStream<Lease | Buffer>({
    async start(controller) {
      writer.closed.catch(error => controller.error(error))
      if (sink.isOpen) return
      await sink.opening
      await setImmediate() // until a close that was asked for before has come to the sink
      if (sink.isClosing) throw destinationClosed()
    },
    async write(chunk) {
      if (!(chunk instanceof Lease)) return writer.write(chunk)
      await sink.writeLease(chunk, () => held.delete(chunk))
    },
    close: () => writer.close(),
    abort: reason => writer.abort(reason)
  })

  try {
    await leases.pipeTo(target, options)
  } finally {
    over = true
    for (const lease of held) lease.release()
    reader.releaseLock()
    writer.releaseLock()
  }
}
