// A consumer that is busy with each chunk.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { createUringReadStream } from '../../../lib/index.js'
import type { Source } from '../bench.js'
import type { Content } from '../content.js'
import { milliseconds, rateOfSize } from '../format.js'
import { seconds } from '../harness.js'
import type { Case, Row } from '../harness.js'
import { byData } from '../streams.js'

/** Its own check: the sha256 that it makes in every round must be the file's. */
function hashCase(name: string, { path, content }: Source, open: (path: string) => Readable): Case {
  const round = async () => {
    const hash = createHash('sha256')
    const taken = await seconds(() => byData(open(path), chunk => void hash.update(chunk)))
    content.checkHash(hash, name)
    return taken
  }
  return { name, verify: async () => { await round() }, round }
}

function boundCase(name: string, content: Content): Case {
  const round = () => seconds(() => {
    if (content.hashInMemory() !== content.sha256) throw new Error('the sha256 in memory differs')
  })
  return { name, verify: async () => { await round() }, round }
}

export const hashRows: Row[] = [{
  name: 'sha256 of the file',
  cases(bench) {
    const source = bench.source()
    return [
      hashCase('leased, data + sha256', source, path => createUringReadStream(path, { buffers: 'leased' })),
      hashCase('fs.createReadStream + sha256', source, path => createReadStream(path)),
      boundCase('bound: sha256 of the same bytes in memory', source.content)
    ]
  },
  goals: [
    { ours: 'leased, data + sha256', peer: 'fs.createReadStream + sha256', atLeast: 2.5 },
    { ours: 'leased, data + sha256', peer: 'bound: sha256 of the same bytes in memory' }
  ],
  format: milliseconds,
  rate: rateOfSize
}]
