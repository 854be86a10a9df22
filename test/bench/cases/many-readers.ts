// Far more readers than there is memory for at once: they wait, and nothing grows with what is in flight.
import type { Bench } from '../bench.js'
import { childReport } from '../children.js'
import type { ManyReaders } from '../fixtures/many-readers.js'
import { mebibytes, perOperation } from '../format.js'
import type { Case, Row } from '../harness.js'

const readers = 100_000
const name = 'UringFile.readFixed'
const note = `O_DIRECT, at rising positions, all begun at once, each after the acquiring of one of 2048 buffers; a ring of 4096 / 8192 entries`

function readersCase(bench: Bench, figure: keyof ManyReaders): Case {
  const { path } = bench.source()
  const round = async () => childReport<ManyReaders>('many-readers', [path, String(bench.size), String(readers)])[figure]
  return { name, verify: async () => { await round() }, round }
}

export const manyReadersRows: Row[] = [{
  name: '100,000 readers of 4 KiB',
  note,
  cases: bench => [readersCase(bench, 'seconds')],
  goals: [{ ours: name, atMost: 7.9e-6 }], // what a reader took in Go with dshulyak/uring on two cores
  format: perOperation
}, {
  name: '100,000 readers of 4 KiB, peak memory',
  note: 'VmHWM at the end, less what was resident before the first',
  cases: bench => [readersCase(bench, 'peakBytes')],
  goals: [{ ours: name }],
  format: mebibytes
}]
