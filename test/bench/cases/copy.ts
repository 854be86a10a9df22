// Copying files: from the page cache, from the disk, past the page cache, on to the disk, and trees of small files.
import { execFileSync, spawnSync } from 'node:child_process'
import { createReadStream, createWriteStream, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { copyFile as nodesCopyFile, cp as nodesCp } from 'node:fs/promises'
import { join } from 'node:path'
import { copyFile } from '../../../lib/index.js'
import type { CopyOptions } from '../../../lib/index.js'
import { Job } from '../../../examples/copy/job.js'
import { forget } from '../../helpers/files.js'
import type { Bench } from '../bench.js'
import { milliseconds, rateOfSize } from '../format.js'
import { seconds } from '../harness.js'
import type { Case, Row } from '../harness.js'
import { cp, dd } from '../peers.js'
import { pipe, writeCase } from '../streams.js'

type Copy = (source: string, target: string) => Promise<number> | number

const ours = (options: CopyOptions = {}): Copy => (source, target) =>
  seconds(() => copyFile(source, target, { reflink: 'never', ...options }))

const ddWith = (bench: Bench, ...flags: string[]): Copy => async (source, target) =>
  dd([`if=${source}`, `of=${target}`, 'bs=1M', ...flags], bench.size)

/** Bun's own time: its process is not counted. It is not a dependency; the variable BUN names its program. */
const bunsWrite: Copy = (source, target) => {
  const program = 'const [from, to] = process.argv.slice(-2); const begin = performance.now();'
    + 'await Bun.write(Bun.file(to), Bun.file(from)); console.log((performance.now() - begin) / 1000)'
  return Number(execFileSync(process.env.BUN!, ['-e', program, source, target], { encoding: 'utf8' }))
}

/** @param before what is done to the source before each copy, untimed */
function copyCase(bench: Bench, name: string, copy: Copy, before: (source: string) => void = () => {}): Case {
  const { path: source, content } = bench.source()
  return writeCase(name, bench.path('copy'), content, async target => {
    before(source)
    return copy(source, target)
  })
}

const hot: Row = {
  name: 'hot copy',
  note: 'cp: its process from start to end; no blocks are shared. Bun.write: in a process of its own, by its own clock (BUN=path of the program)',
  cases: bench => [
    copyCase(bench, 'copyFile', ours()),
    copyCase(bench, 'cp', cp),
    copyCase(bench, 'dd bs=1M', ddWith(bench)),
    copyCase(bench, 'fs.copyFile', (source, target) => seconds(() => nodesCopyFile(source, target))),
    { ...copyCase(bench, 'Bun.write', bunsWrite), missing: process.env.BUN === undefined ? 'BUN is not set' : undefined }
  ],
  goals: [
    { ours: 'copyFile', peer: 'cp', atLeast: 1 },
    { ours: 'copyFile', peer: 'dd bs=1M', atLeast: 1 },
    { ours: 'copyFile', peer: 'fs.copyFile', atLeast: 1 },
    { ours: 'copyFile', peer: 'Bun.write', atLeast: 0.9 }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const cold: Row = {
  name: 'cold copy',
  note: 'the source is not in the page cache',
  cases: bench => [
    copyCase(bench, 'copyFile', ours(), forget),
    copyCase(bench, 'cp', cp, forget),
    copyCase(bench, 'createReadStream.pipe(createWriteStream)', (source, target) =>
      seconds(() => pipe(createReadStream(source), createWriteStream(target))), forget)
  ],
  goals: [
    { ours: 'copyFile', peer: 'cp', atLeast: 1 },
    { ours: 'copyFile', peer: 'createReadStream.pipe(createWriteStream)', atLeast: 2 }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const direct: Row = {
  name: 'direct copy',
  cases: bench => [
    copyCase(bench, 'copyFile, direct', ours({ direct: true })),
    copyCase(bench, 'dd iflag=direct oflag=direct bs=1M', ddWith(bench, 'iflag=direct', 'oflag=direct'))
  ],
  goals: [{ ours: 'copyFile, direct', peer: 'dd iflag=direct oflag=direct bs=1M', atLeast: 1.7 }],
  format: milliseconds,
  rate: rateOfSize
}

const durable: Row = {
  name: 'durable copy',
  note: 'on the disk when it is over; dd: conv=fdatasync',
  cases: bench => [
    copyCase(bench, 'copyFile, flush', ours({ flush: true })),
    copyCase(bench, 'dd bs=1M conv=fdatasync', ddWith(bench, 'conv=fdatasync'))
  ],
  goals: [{ ours: 'copyFile, flush', peer: 'dd bs=1M conv=fdatasync', atLeast: 1.5 }],
  format: milliseconds,
  rate: rateOfSize
}

const treeFiles = 20_000
const filesInDirectory = 200
const kibibytesMax = 16

/** 20,000 files of 1 to 16 KiB, each of them other bytes. */
function makeTree(bench: Bench): string {
  const { content } = bench.source()
  const root = bench.path('tree')
  for (let i = 0; i < treeFiles; i++) {
    const directory = join(root, String(Math.floor(i / filesInDirectory)))
    if (i % filesInDirectory === 0) mkdirSync(directory, { recursive: true })
    const length = 1024 * (1 + i * 7 % kibibytesMax) - i % 3
    writeFileSync(join(directory, String(i)), content.block.subarray(i, i + length))
  }
  execFileSync('sync')
  return root
}

function treeCase(bench: Bench, name: string, source: string, copy: Copy): Case {
  const target = bench.path('copied-tree')
  const fresh = async (check: () => void): Promise<number> => {
    rmSync(target, { recursive: true, force: true })
    const taken = await copy(source, target)
    check()
    rmSync(target, { recursive: true, force: true })
    return taken
  }
  return {
    name,
    verify: async () => { await fresh(() => void execFileSync('diff', ['-r', source, target])) },
    round: () => fresh(() => {
      const [from, to] = [source, target].map(root => join(root, '99', String(treeFiles - 1)))
      if (!readFileSync(from).equals(readFileSync(to))) throw new Error(`${name}: the last file differs`)
    })
  }
}

const tree: Row = {
  name: 'tree copy',
  note: `${treeFiles} files of 1 to ${kibibytesMax} KiB; cp: its process from start to end; ours: what uring-copy --recursive runs`,
  cases(bench) {
    const source = makeTree(bench)
    const job = (from: string, to: string) => seconds(() =>
      new Job({ source: from, target: to, recursive: true, report: 'quiet' }).run(new AbortController().signal))
    return [
      treeCase(bench, 'uring-copy --recursive', source, job),
      treeCase(bench, 'cp -r', source, (from, to) => seconds(() => spawnSync('cp', ['-r', from, to]))),
      treeCase(bench, 'fs.cp', source, (from, to) => seconds(() => nodesCp(from, to, { recursive: true })))
    ]
  },
  goals: [
    { ours: 'uring-copy --recursive', peer: 'cp -r', atLeast: 1.2 },
    { ours: 'uring-copy --recursive', peer: 'fs.cp', atLeast: 2.5 }
  ],
  format: milliseconds
}

const sparseBytes = 100 * 2 ** 30
const dataBytes = 100 * 2 ** 20

const sparse: Row = {
  name: 'sparse copy',
  note: 'a file of 100 GiB of which 100 MiB at its beginning are data, and one of those 100 MiB alone',
  cases(bench) {
    const { path: source, content } = bench.makeSource('dense', dataBytes)
    const holed = bench.makeSource('sparse', dataBytes).path
    truncateSync(holed, sparseBytes)
    const target = bench.path('copy')
    const ofSparse = writeCase('copyFile, 100 GiB sparse', target, content, async path => {
      const taken = await ours()(holed, path)
      const { size, blocks } = statSync(path)
      if (size !== sparseBytes || blocks * 512 > 2 * dataBytes) throw new Error(`${size} bytes in ${blocks} blocks`)
      truncateSync(path, dataBytes); // what is behind was a hole
      return taken
    })
    return [ofSparse, writeCase('copyFile, 100 MiB', target, content, async path => ours()(source, path))]
  },
  goals: [{ ours: 'copyFile, 100 GiB sparse', peer: 'copyFile, 100 MiB', atLeast: 0.9 }],
  format: milliseconds
}

export const copyRows: Row[] = [hot, cold, direct, durable, tree, sparse]
