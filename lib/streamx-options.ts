/** The options of the streamx flavour: those of the Web streams, and leased chunks. */
import type { BufferOwnership } from './options.js'
import { chunkSizeDefault, chunkSizeLeased, chunkSizeOf, validateOneOf } from './options.js'
import type { ReadableStreamOptions } from './web-stream-options.js'

export interface StreamxReadOptions extends ReadableStreamOptions {
  /** Whose the chunks are. Default 'owned'. */
  buffers?: BufferOwnership | undefined
}

/** @throws ERR_INVALID_ARG_VALUE */
export function withChunkSize(options: StreamxReadOptions): StreamxReadOptions {
  const { buffers = 'owned' } = options
  validateOneOf(buffers, 'options.buffers', ['owned', 'leased'])
  const chunkSize = chunkSizeOf(options, buffers === 'leased' ? chunkSizeLeased : chunkSizeDefault)
  return Object.assign({}, options, { chunkSize }) // as in UringReadStream
}
