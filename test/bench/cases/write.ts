// Writing a new file into the page cache.
import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { createUringWriteStream } from '../../../lib/index.js'
import type { Bench } from '../bench.js'
import { Content, pseudoRandom } from '../content.js'
import { milliseconds, rateOfSize } from '../format.js'
import type { Case, Row } from '../harness.js'
import { dd } from '../peers.js'
import { writeCase, writePieces } from '../streams.js'

type Open = (path: string) => Writable

const ours: Open = path => createUringWriteStream(path)
const nodes: Open = path => createWriteStream(path)

const chunkBytes = 1 << 20

function chunksCase(name: string, bench: Bench, chunk: Buffer, open: Open): Case {
  const content = new Content(chunk, bench.size)
  return writeCase(name, bench.path('written'), content, path => writePieces(() => open(path), bench.size / chunkBytes, () => chunk))
}

function ddCase(name: string, bench: Bench): Case {
  const zeros = new Content(Buffer.alloc(chunkBytes), bench.size)
  return writeCase(name, bench.path('written'), zeros, async path =>
    dd(['if=/dev/zero', `of=${path}`, 'bs=1M', `count=${bench.size / chunkBytes}`], bench.size))
}

const chunks: Row = {
  name: 'hot write, 1 MiB chunks',
  note: 'dd: if=/dev/zero, so its time has the clearing of its 1 MiB buffer for each block in it; the streams write one buffer again and again',
  cases(bench) {
    const chunk = pseudoRandom(chunkBytes)
    return [
      chunksCase('createUringWriteStream', bench, chunk, ours),
      ddCase('dd if=/dev/zero bs=1M', bench),
      chunksCase('fs.createWriteStream', bench, chunk, nodes)
    ]
  },
  goals: [
    { ours: 'createUringWriteStream', peer: 'dd if=/dev/zero bs=1M', atLeast: 0.95 },
    { ours: 'createUringWriteStream', peer: 'fs.createWriteStream', atLeast: 3 }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const lineBytes = 20
/** Lines that differ, so that two which change places show. */
const differentLines = 1024
/** 2 million lines at the default size. */
const sizePerLine = 512

function linesCase<Line extends Buffer | string>(name: string, bench: Bench, lines: Line[], open: Open): Case {
  const count = Math.floor(bench.size / sizePerLine)
  const block = Buffer.concat(lines.map(line => Buffer.from(line as string)))
  return writeCase(name, bench.path('lines'), new Content(block, count * lineBytes), path =>
    writePieces(() => open(path), count, index => lines[index % differentLines]))
}

const smallWrites: Row = {
  name: '20-byte writes',
  note: `one line for each ${sizePerLine} bytes of the run's size, so 2 million at 1 GiB`,
  cases(bench) {
    const strings = Array.from({ length: differentLines }, (_, i) => `line ${i}`.padEnd(lineBytes - 1, '.') + '\n')
    const buffers = strings.map(line => Buffer.from(line))
    return [
      linesCase('createUringWriteStream, Buffers', bench, buffers, ours),
      linesCase('fs.createWriteStream, Buffers', bench, buffers, nodes),
      linesCase('createUringWriteStream, strings', bench, strings, ours),
      linesCase('fs.createWriteStream, strings', bench, strings, nodes)
    ]
  },
  goals: [
    { ours: 'createUringWriteStream, Buffers', peer: 'fs.createWriteStream, Buffers', atLeast: 1.2 },
    { ours: 'createUringWriteStream, strings', peer: 'fs.createWriteStream, strings' }
  ],
  format: milliseconds
}

export const writeRows: Row[] = [chunks, smallWrites]
