/** The same two streams over streamx: `import { createUringReadStream } from 'uring-streams/streamx'`. */
import type { PathLike } from './path.js'
import type { StreamxReadOptions } from './streamx-options.js'
import { UringReadStream } from './streamx-read-stream.js'
import { UringWriteStream } from './streamx-write-stream.js'
import type { WritableStreamOptions } from './web-stream-options.js'

export { UringReadStream, UringWriteStream }
export type { StreamxReadOptions, WritableStreamOptions }

/** Opens a file to read it as a streamx Readable. */
export function createUringReadStream(path: PathLike, options?: StreamxReadOptions): UringReadStream {
  return new UringReadStream(path, options)
}

/** Opens a file to write it as a streamx Writable. */
export function createUringWriteStream(path: PathLike, options?: WritableStreamOptions): UringWriteStream {
  return new UringWriteStream(path, options)
}
