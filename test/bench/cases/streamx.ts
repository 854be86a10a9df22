// The streamx flavour against the node:stream one, over the same window.
import type { Readable as StreamxReadable } from 'streamx'
import { createUringReadStream } from '../../../lib/index.js'
import { createUringReadStream as createStreamx } from '../../../lib/streamx.js'
import { milliseconds, rateOfSize } from '../format.js'
import type { Row } from '../harness.js'
import { byData, readCase } from '../streams.js'
import type { OnChunk } from '../streams.js'

function byStreamxData(stream: StreamxReadable, onChunk: OnChunk): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.on('data', chunk => onChunk(chunk as Buffer))
    stream.on('error', reject)
    stream.on('close', () => resolve())
  })
}

export const streamxRows: Row[] = [{
  name: 'streamx, leased, hot',
  cases(bench) {
    const source = bench.source()
    return [
      readCase('streamx, leased', source, (path, onChunk) => byStreamxData(createStreamx(path, { buffers: 'leased' }), onChunk)),
      readCase('node:stream, leased', source, (path, onChunk) => byData(createUringReadStream(path, { buffers: 'leased' }), onChunk)),
      readCase('streamx, owned', source, (path, onChunk) => byStreamxData(createStreamx(path), onChunk)),
      readCase('node:stream, owned', source, (path, onChunk) => byData(createUringReadStream(path), onChunk))
    ]
  },
  goals: [
    { ours: 'streamx, leased', peer: 'node:stream, leased', atLeast: 0.95 },
    { ours: 'streamx, owned', peer: 'node:stream, owned' }
  ],
  format: milliseconds,
  rate: rateOfSize
}]
