// One small file: the price of a stream itself.
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createUringReadStream } from '../../../lib/index.js'
import type { Source } from '../bench.js'
import { perOperation } from '../format.js'
import type { Case, Row } from '../harness.js'
import { byData, readCase } from '../streams.js'

const fileBytes = 4096

/** One stream after another, each from open to close with its bytes checked; `count` makes a round long enough to time. */
function streamsCase(name: string, source: Source, count: number, open: (path: string) => Readable): Case {
  const one = readCase(name, source, (path, onChunk) => byData(open(path), onChunk))
  const many = async () => {
    let taken = 0
    for (let i = 0; i < count; i++) taken += await one.round()
    return taken / count
  }
  return { name, verify: async () => { await one.verify(); await many() }, round: many }
}

export const smallFileRows: Row[] = [{
  name: 'a stream of one 4 KiB file',
  note: 'per stream, from open to close, one after another',
  cases(bench) {
    const source = bench.makeSource('small', fileBytes)
    return [
      streamsCase('createUringReadStream', source, 10_000, path => createUringReadStream(path)),
      streamsCase('createUringReadStream, leased', source, 10_000, path => createUringReadStream(path, { buffers: 'leased' })),
      streamsCase('fs.createReadStream', source, 2_000, path => createReadStream(path))
    ]
  },
  goals: [
    { ours: 'createUringReadStream', peer: 'fs.createReadStream', atLeast: 5 },
    { ours: 'createUringReadStream, leased', peer: 'fs.createReadStream' }
  ],
  format: perOperation
}]
