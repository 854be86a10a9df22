// Past the page cache: what counts is that the disk has enough to do, in requests that it need not split.
import { spawnSync } from 'node:child_process'
import { createUringReadStream, createUringWriteStream } from '../../../lib/index.js'
import type { Bench, Source } from '../bench.js'
import { childReport } from '../children.js'
import { Content, pseudoRandom } from '../content.js'
import { fioDirect, fioMissing } from '../fio.js'
import { milliseconds, rateOfSize } from '../format.js'
import type { Case, Row } from '../harness.js'
import { dd } from '../peers.js'
import { byData, readCase, writeCase, writePieces } from '../streams.js'

const chunkBytes = 1 << 20
const fio = 'fio io_uring 1 MiB, 8 in flight'

/** Of a program that reads and looks at nothing: the count of its bytes is all that there is to check. */
function reportCase(name: string, read: () => number, missing?: string): Case {
  return { name, missing, verify: async () => { read() }, round: async () => read() }
}

const ddRead = ({ path, content: { bytes } }: Source, block: string): Case =>
  reportCase(`dd iflag=direct bs=${block}`, () => dd([`if=${path}`, 'of=/dev/null', 'iflag=direct', `bs=${block}`], bytes))

const read: Row = {
  name: 'direct read, leased',
  cases(bench) {
    const source = bench.source()
    return [
      readCase('leased, data', source, (path, onChunk) => byData(createUringReadStream(path, { direct: true, buffers: 'leased' }), onChunk)),
      reportCase(fio, () => fioDirect('read', source.path, bench.size), fioMissing()),
      ddRead(source, '1M'),
      ddRead(source, '4M'),
      readCase('owned, data', source, (path, onChunk) => byData(createUringReadStream(path, { direct: true }), onChunk))
    ]
  },
  goals: [
    { ours: 'leased, data', peer: fio, atLeast: 1 },
    { ours: 'leased, data', peer: 'dd iflag=direct bs=1M', atLeast: 1 },
    { ours: 'leased, data', peer: 'dd iflag=direct bs=4M', atLeast: 1 },
    { ours: 'owned, data', peer: fio }
  ],
  format: milliseconds,
  rate: rateOfSize
}

/** prctl(PR_SET_THP_DISABLE), which a program leaves to the one that it becomes. */
const withoutHugePages = ['python3', '-c', 'import ctypes, os, sys; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])']

const python = (): string | undefined => spawnSync('python3', ['--version']).error ? 'python3, which turns huge pages off, is not installed' : undefined

const hugePages: Row = {
  name: 'direct read, leased, on huge pages',
  note: 'each in a process of its own, for one of which huge pages are turned off; what they gain is what the disk would split',
  cases(bench) {
    const { path } = bench.source()
    return [
      reportCase('huge pages', () => childReport<number>('direct-read', [path])),
      reportCase('ordinary pages', () => childReport<number>('direct-read', [path], {}, withoutHugePages), python())
    ]
  },
  goals: [{ ours: 'huge pages', peer: 'ordinary pages', atLeast: 1.4 }],
  format: milliseconds,
  rate: rateOfSize
}

function writtenByUs(bench: Bench, chunk: Buffer): Case {
  const content = new Content(chunk, bench.size)
  const options = { direct: true, preallocate: bench.size } as const
  return writeCase('createUringWriteStream', bench.path('direct'), content, path =>
    writePieces(() => createUringWriteStream(path, options), bench.size / chunkBytes, () => chunk))
}

/** Of a program that writes zeros. */
function writtenByProgram(name: string, path: string, bytes: number, write: (path: string) => number, missing?: string): Case {
  const zeros = new Content(Buffer.alloc(chunkBytes), bytes)
  const { verify, round } = writeCase(name, path, zeros, async path => write(path))
  return { name, missing, verify, round }
}

const write: Row = {
  name: 'direct write, preallocated',
  note: 'from open to finish; fio: by its own account, without the allocation',
  cases(bench) {
    const { size } = bench
    return [
      writtenByUs(bench, pseudoRandom(chunkBytes)),
      writtenByProgram(fio, bench.path('fio'), size, path => fioDirect('write', path, size), fioMissing()),
      writtenByProgram('dd oflag=direct bs=1M', bench.path('dd'), size, path =>
        dd(['if=/dev/zero', `of=${path}`, 'bs=1M', 'oflag=direct', `count=${size / chunkBytes}`], size))
    ]
  },
  goals: [
    { ours: 'createUringWriteStream', peer: fio, atLeast: 0.9 },
    { ours: 'createUringWriteStream', peer: 'dd oflag=direct bs=1M' }
  ],
  format: milliseconds,
  rate: rateOfSize
}

export const directRows: Row[] = [read, hugePages, write]
