// Copying a file by pipe, from the page cache into the page cache.
import { createReadStream, createWriteStream } from 'node:fs'
import { createUringReadStream, createUringWriteStream } from '../../../lib/index.js'
import { milliseconds, rateOfSize } from '../format.js'
import { seconds } from '../harness.js'
import type { Row } from '../harness.js'
import { cp } from '../peers.js'
import { pipe, writeCase } from '../streams.js'

export const pipeRows: Row[] = [{
  name: 'hot pipe',
  note: 'cp: its process from start to end',
  cases(bench) {
    const { path: source, content } = bench.source()
    const target = bench.path('copy')
    return [
      writeCase('our reader to our writer', target, content, path =>
        seconds(() => pipe(createUringReadStream(source), createUringWriteStream(path)))),
      writeCase('createReadStream.pipe(createWriteStream)', target, content, path =>
        seconds(() => pipe(createReadStream(source), createWriteStream(path)))),
      writeCase('cp', target, content, path => cp(source, path))
    ]
  },
  goals: [
    { ours: 'our reader to our writer', peer: 'createReadStream.pipe(createWriteStream)', atLeast: 5 },
    { ours: 'our reader to our writer', peer: 'cp' }
  ],
  format: milliseconds,
  rate: rateOfSize
}]
