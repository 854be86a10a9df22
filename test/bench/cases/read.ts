// Reading a file that is in the page cache.
import { createReadStream } from 'node:fs'
import { createUringReadStream } from '../../../lib/index.js'
import { milliseconds, rateOfSize } from '../format.js'
import type { Row } from '../harness.js'
import { ddReadCase } from '../peers.js'
import { byData, byForAwait, readCase } from '../streams.js'

const ours = {
  leased: (path: string) => createUringReadStream(path, { buffers: 'leased' }),
  owned: (path: string) => createUringReadStream(path)
}

const leased: Row = {
  name: 'hot read, leased',
  note: 'dd: the seconds that it reports itself, without the start of its process',
  cases(bench) {
    const source = bench.source()
    return [
      readCase('leased, data', source, (path, onChunk) => byData(ours.leased(path), onChunk)),
      ddReadCase(source),
      readCase('fs.createReadStream', source, (path, onChunk) => byData(createReadStream(path), onChunk)),
      readCase('fs.createReadStream 1 MiB', source, (path, onChunk) => byData(createReadStream(path, { highWaterMark: 1 << 20 }), onChunk))
    ]
  },
  goals: [
    { ours: 'leased, data', peer: 'dd bs=1M of=/dev/null', atLeast: 0.9 },
    { ours: 'leased, data', peer: 'fs.createReadStream', atLeast: 8 },
    { ours: 'leased, data', peer: 'fs.createReadStream 1 MiB' }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const owned: Row = {
  name: 'hot read, owned',
  cases(bench) {
    const source = bench.source()
    return [
      readCase('owned, data', source, (path, onChunk) => byData(ours.owned(path), onChunk)),
      readCase('fs.createReadStream', source, (path, onChunk) => byData(createReadStream(path), onChunk))
    ]
  },
  goals: [{ ours: 'owned, data', peer: 'fs.createReadStream', atLeast: 3.5 }],
  format: milliseconds,
  rate: rateOfSize
}

const forAwait: Row = {
  name: 'for await',
  cases(bench) {
    const source = bench.source()
    return [
      ...(['leased', 'owned'] as const).flatMap(buffers => [
        readCase(`${buffers}, for await`, source, (path, onChunk) => byForAwait(ours[buffers](path), onChunk)),
        readCase(`${buffers}, data`, source, (path, onChunk) => byData(ours[buffers](path), onChunk))
      ]),
      readCase('fs.createReadStream, for await', source, (path, onChunk) => byForAwait(createReadStream(path), onChunk))
    ]
  },
  goals: [
    { ours: 'leased, for await', peer: 'leased, data', atLeast: 0.8 },
    { ours: 'owned, for await', peer: 'owned, data', atLeast: 0.8 },
    { ours: 'leased, for await', peer: 'fs.createReadStream, for await' }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const threads: Row = {
  name: 'hot read on threads',
  note: 'what is left where io_uring is refused',
  cases(bench) {
    const source = bench.source()
    return [
      readCase('threads, leased, data', source, (path, onChunk) => byData(createUringReadStream(path, { engine: 'threads', buffers: 'leased' }), onChunk)),
      readCase('threads, owned, data', source, (path, onChunk) => byData(createUringReadStream(path, { engine: 'threads' }), onChunk)),
      readCase('fs.createReadStream', source, (path, onChunk) => byData(createReadStream(path), onChunk))
    ]
  },
  goals: [
    { ours: 'threads, owned, data', peer: 'fs.createReadStream', atLeast: 1.8 },
    { ours: 'threads, leased, data', peer: 'fs.createReadStream', atLeast: 1.8 }
  ],
  format: milliseconds,
  rate: rateOfSize
}

export const readRows: Row[] = [leased, owned, forAwait, threads]
