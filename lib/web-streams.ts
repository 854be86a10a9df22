/** Web streams over the windows: a byte stream that reads a file, and a writable one that writes it. */
import type { UnderlyingByteSource, UnderlyingSink } from 'node:stream/web'
import type { PathLike } from './path.js'
import { pipeLeases } from './web-pipe.js'
import { FileSink } from './file-sink.js'
import { FileSource } from './file-source.js'
import type { ReadableStreamOptions, WritableStreamOptions } from './web-stream-options.js'

// The global classes, which are those of node:stream/web: in programs whose types are the DOM's, these must be the DOM's
// as well, or neither Response nor CompressionStream takes them. So nothing here is by `override`.

/** Over memory of its own, never shared: `Uint8Array<ArrayBuffer>` where TypeScript tells them apart (since 5.7). */
type Chunk = ReturnType<typeof Uint8Array.of>

/** The types would have a class that names its chunks only over a source that is no byte source. */
const ByteStream = ReadableStream as unknown as
  new (source: UnderlyingByteSource, strategy: { highWaterMark: number }) => ReadableStream<Chunk>
/** The types would have a sink that starts by itself. */
const FileStream = WritableStream as unknown as
  new (sink: UnderlyingSink) => WritableStream<string | NodeJS.ArrayBufferView | ArrayBufferLike>

/**
 * Reads a file as a byte stream. Default reads keep several operations in flight; BYOB reads of 64 KiB and more go
 * from the kernel straight into the reader's view. The file is closed before the stream ends, before `cancel()`
 * resolves, and after an error.
 */
export class UringReadableStream extends ByteStream {
  readonly #source: FileSource

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments */
  constructor(path: PathLike | null | undefined, options?: ReadableStreamOptions) {
    const source = new FileSource(path, options)
    // No queue of its own: the window is the queue.
    super(source, { highWaterMark: 0 })
    this.#source = source
  }

  /** As given; undefined with a descriptor. */
  get path(): string | Buffer | undefined {
    return this.#source.file.path
  }

  /** Whether it reads past the page cache; false until it has begun. */
  get direct(): boolean {
    return this.#source.direct
  }

  /** Bytes given to the stream so far. */
  get bytesRead(): number {
    return this.#source.bytesRead
  }

  static {
    const { getReader, pipeTo } = this.prototype
    this.prototype.getReader = function (this: UringReadableStream, options?: any): any {
      const reader = getReader.call(this, options) as ReadableStreamDefaultReader | ReadableStreamBYOBReader
      if (reader instanceof ReadableStreamBYOBReader) reader.closed.catch(() => this.#source.orphan())
      return reader
    }
    // As the standard has it. Into a UringWritableStream the memory that was read into is handed over to be written.
    this.prototype.pipeTo = function (this: UringReadableStream, destination, options) {
      const sink = destination instanceof UringWritableStream && !this.locked && !destination.locked && this.#source.isClear
        ? UringWritableStream.idleSink(destination)
        : null
      if (sink === null) return pipeTo.call(this, destination, options)
      return pipeLeases(this, this.#source, destination as UringWritableStream, sink, options)
    }
  }
}

/**
 * Writes a file. A chunk is copied before its `write()` resolves, so that it may be changed or given away then, and
 * several writes are in flight; `close()` resolves when everything is in the file and the file is closed.
 * Chunks are strings (written in UTF-8) and everything that holds bytes.
 */
export class UringWritableStream extends FileStream {
  readonly #sink: FileSink

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments */
  constructor(path: PathLike | null | undefined, options?: WritableStreamOptions) {
    const sink = new FileSink(path, options)
    super(sink as unknown as UnderlyingSink) // @types/node 20 do not know of the controller's signal
    this.#sink = sink
  }

  /** As given; undefined with a descriptor. */
  get path(): string | Buffer | undefined {
    return this.#sink.file.path
  }

  /** Whether it writes past the page cache; false until the file is open. */
  get direct(): boolean {
    return this.#sink.direct
  }

  /** Where what is known to be on the disk ends: bytes from the beginning of the file. */
  get flushedPosition(): number {
    return this.#sink.flushedPosition
  }

  /** Bytes in the file, without a gap. */
  get bytesWritten(): number {
    return this.#sink.bytesWritten
  }

  /** The sink, if the stream has nothing in its queue and is not at its end. @internal */
  static idleSink(stream: UringWritableStream): FileSink | null {
    const writer = stream.getWriter()
    const idle = writer.desiredSize === 1 && !stream.#sink.isClosing
    writer.releaseLock()
    return idle ? stream.#sink : null
  }
}

/** Opens a file to read it as a Web stream. */
export function createUringReadableStream(path: PathLike, options?: ReadableStreamOptions): UringReadableStream {
  return new UringReadableStream(path, options)
}

/** Opens a file to write it as a Web stream. */
export function createUringWritableStream(path: PathLike, options?: WritableStreamOptions): UringWritableStream {
  return new UringWritableStream(path, options)
}
