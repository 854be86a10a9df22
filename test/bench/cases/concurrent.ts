// Many files at once: what a pool of four threads holds back.
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createUringReadStream } from '../../../lib/index.js'
import type { Source } from '../bench.js'
import { milliseconds, rateOfSize } from '../format.js'
import { seconds } from '../harness.js'
import type { Case, Row } from '../harness.js'
import { byData, readCase } from '../streams.js'

const files = 16

function atOnce(name: string, sources: Source[], open: (path: string) => Readable): Case {
  const each = sources.map(source => readCase(name, source, (path, onChunk) => byData(open(path), onChunk)))
  return {
    name,
    verify: async () => { await Promise.all(each.map(one => one.verify())) },
    round: () => seconds(() => Promise.all(each.map(one => one.round())))
  }
}

export const concurrentRows: Row[] = [{
  name: `${files} files at once`,
  note: `each a ${files}th of the run's size`,
  cases(bench) {
    const sources = Array.from({ length: files }, (_, i) => bench.makeSource(`part-${i}`, bench.size / files))
    return [
      atOnce('owned, data', sources, path => createUringReadStream(path)),
      atOnce('leased, data', sources, path => createUringReadStream(path, { buffers: 'leased' })),
      atOnce('fs.createReadStream', sources, path => createReadStream(path))
    ]
  },
  goals: [
    { ours: 'owned, data', peer: 'fs.createReadStream' },
    { ours: 'leased, data', peer: 'fs.createReadStream' }
  ],
  format: milliseconds,
  rate: rateOfSize
}]
