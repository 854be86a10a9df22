// The most memory that a copy takes, each in a process of its own.
import { rmSync } from 'node:fs'
import type { Bench } from '../bench.js'
import { childReport } from '../children.js'
import { mebibytes } from '../format.js'
import type { Case, Row } from '../harness.js'
import type { Library, Work } from '../fixtures/peak-memory.js'

function peakBytes(library: Library, work: Work, ...paths: string[]): number {
  return childReport('peak-memory', [library, work, ...paths])
}

function copyCase(name: string, bench: Bench, library: Library, idle: Library): Case {
  const { path: source, content } = bench.source()
  const target = bench.path('memory-copy')
  const aboveIdle = (check: () => void) => {
    try {
      const copying = peakBytes(library, 'copy', source, target)
      check()
      return copying - peakBytes(idle, 'idle')
    } finally {
      rmSync(target, { force: true })
    }
  }
  return {
    name,
    verify: async () => { aboveIdle(() => content.verifyFile(target)) },
    round: async () => aboveIdle(() => content.sampleFile(target))
  }
}

export const memoryRows: Row[] = [{
  name: 'peak memory of a copy',
  note: "VmHWM of a process that pipes the file, less an idle one's that imported the same, or nothing",
  cases: bench => [
    copyCase('our streams', bench, 'uring', 'uring'),
    copyCase('our streams, and the library', bench, 'uring', 'fs'),
    copyCase('fs streams', bench, 'fs', 'fs')
  ],
  goals: [
    { ours: 'our streams', atMost: 25 * (1 << 20) },
    { ours: 'our streams, and the library', peer: 'fs streams' }
  ],
  format: mebibytes
}]
