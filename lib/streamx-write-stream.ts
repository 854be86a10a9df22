/** UringWriteStream of streamx: its Writable over the window of writes. */
import { Writable } from 'streamx'
import { destroyError } from './abort.js'
import type { Lease } from './buffers.js'
import { leaseOf } from './buffers.js'
import type { SinkController } from './file-sink.js'
import { FileSink } from './file-sink.js'
import type { PathLike } from './path.js'
import type { WritableStreamOptions } from './web-stream-options.js'

type Callback = (error: Error | null) => void

/**
 * Writes a file as a streamx Writable. Chunks are copied into the window, so that a chunk is its owner's again when
 * streamx has taken it ('drain', `Writable.drained`); leases are handed over.
 */
export class UringWriteStream extends Writable {
  private readonly _sink: FileSink
  /** What the sink knows of this stream, weakly. */
  private readonly _controller: SinkController
  private readonly _aborter = new AbortController()
  /** Of chunks in streamx's queue. */
  private readonly _queued: Lease[] = []

  /** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE for bad arguments */
  constructor(path: PathLike | null | undefined, options: WritableStreamOptions = {}) {
    const sink = new FileSink(path, options)
    super()
    this._sink = sink
    this._controller = { signal: this._aborter.signal, error: reason => this.destroy(destroyError(reason, options.signal)) }
    sink.start(this._controller).catch(() => {}) // `_open` tells
  }

  /** As given; undefined with a descriptor. */
  get path(): string | Buffer | undefined {
    return this._sink.file.path
  }

  /** Whether it writes past the page cache; false until the file is open. */
  get direct(): boolean {
    return this._sink.direct
  }

  /** Where what is known to be on the disk ends: bytes from the beginning of the file. */
  get flushedPosition(): number {
    return this._sink.flushedPosition
  }

  /** Bytes in the file, without a gap. */
  get bytesWritten(): number {
    return this._sink.bytesWritten
  }

  override write(chunk: unknown): boolean {
    const lease = chunk instanceof Uint8Array ? leaseOf(chunk) : undefined
    if (lease !== undefined && !this.destroying) {
      lease.retain()
      this._queued.push(lease)
    }
    return super.write(chunk)
  }

  /** @internal */
  override _open(callback: Callback): void {
    void this._sink.opening.then(callback)
  }

  /** @internal */
  override _write(chunk: unknown, callback: Callback): void {
    const lease = chunk instanceof Uint8Array ? leaseOf(chunk) : undefined
    const written = lease === undefined
      ? this._sink.write(chunk)
      : this._sink.writeLease(lease, () => void this._queued.shift(), chunk as Buffer)
    written.then(() => callback(null), callback)
  }

  /** @internal */
  override _final(callback: Callback): void {
    this._sink.close().then(() => callback(null), callback)
  }

  /** @internal */
  override _predestroy(): void {
    this._aborter.abort()
  }

  /** @internal */
  override _destroy(callback: Callback): void {
    for (const lease of this._queued.splice(0)) lease.release()
    this._sink.abort().then(() => callback(null), callback)
  }
}
