/** uring-copy: numbers, lines and bars as they are shown. */
import t from 'tap'
import { formatBytes, formatClock, formatDuration, plainName, shorten } from '../../examples/copy/format.js'
import { Meter } from '../../examples/copy/meter.js'
import { barLine, momentsOf, progressLine } from '../../examples/copy/progress.js'

const MiB = 1024 ** 2
const GiB = 1024 ** 3
const moment = { name: 'big.iso', phase: null, bytes: GiB, total: 4 * GiB, bytesPerSecond: 1.5 * GiB, secondsLeft: 2 }

t.test('bytes are shown in the unit that suits', async t => {
  const texts = {
    0: '0 B', 1023: '1023 B', 1024: '1.0 KiB', 1536: '1.5 KiB', 1048575: '1.0 MiB', 1048576: '1.0 MiB',
    [4 * GiB]: '4.0 GiB', [1023.9 * GiB]: '1023.9 GiB', [1024 * GiB]: '1.0 TiB', [1024 ** 6]: '1024.0 PiB'
  }
  for (const [bytes, text] of Object.entries(texts)) t.equal(formatBytes(Number(bytes)), text)
})

t.test('times grow from milliseconds to hours', async t => {
  const texts = {
    0: '0 ms', 0.0994: '99 ms', 0.0996: '0.1 s', 2.14: '2.1 s', 59.9: '59.9 s', 59.96: '1:00', 3599.4: '59:59',
    3723: '1:02:03'
  }
  for (const [seconds, text] of Object.entries(texts)) t.equal(formatDuration(Number(seconds)), text)
  t.equal(formatClock(0.4), '0:00')
  t.equal(formatClock(59.6), '1:00')
})

t.test('a name is the end of its path, and cannot speak to the terminal', async t => {
  t.equal(plainName('/a/b/big.iso'), 'big.iso')
  t.equal(plainName('big.iso'), 'big.iso')
  t.equal(plainName('dir/a\x1b[2J\nb\x9b'), 'a?[2J?b?')
  t.equal(shorten('quite-a-long-name.iso', 9), '…name.iso')
  t.equal(shorten('長い名前', 8), '長い名前')
  t.equal(shorten('長い名前', 7), '…い名前')
})

t.test('the rate is that of the last seconds, and the time left follows from it', async t => {
  const meter = new Meter()
  t.equal(meter.bytesPerSecond, 0)
  meter.add(1000, 0)
  t.equal(meter.bytesPerSecond, 0)
  t.equal(meter.secondsLeft(1000), null)
  for (let second = 1; second <= 10; second++) meter.add(1000 + second * 1000, second * 100)
  t.equal(meter.bytesPerSecond, 100)
  t.equal(meter.secondsLeft(1500), 5)
  t.equal(meter.secondsLeft(null), null)
  for (let second = 11; second <= 30; second++) meter.add(1000 + second * 1000, 1000 + (second - 10) * 10)
  t.equal(meter.bytesPerSecond, 10, 'what was long ago does not count')
  for (let second = 31; second <= 40; second++) meter.add(1000 + second * 1000, 1200)
  t.equal(meter.secondsLeft(1500), null, 'nothing moves, so nobody knows')
})

t.test('a line for a log says how much, how fast and how long', async t => {
  t.equal(progressLine(moment), 'big.iso: 1.0 GiB of 4.0 GiB (25%), 1.5 GiB/s, 0:02 left')
  t.equal(progressLine({ ...moment, bytes: 4 * GiB - 1 }).includes('(99%)'), true)
  t.equal(progressLine({ ...moment, total: null, secondsLeft: null }), 'big.iso: 1.0 GiB, 1.5 GiB/s')
  const beginning = { ...moment, bytes: 0, bytesPerSecond: 0, secondsLeft: null }
  t.equal(progressLine(beginning), 'big.iso: 0 B of 4.0 GiB (0%), 0 B/s')
})

t.test('what goes on behind the copying has its name, its bytes and its rate', async t => {
  const verifying = { ...moment, phase: 'verifying' }
  t.equal(progressLine(verifying), 'big.iso: verifying, 1.0 GiB of 4.0 GiB (25%), 1.5 GiB/s, 0:02 left')
  t.match(barLine(verifying, 132), /^verifying big\.iso  25% \[={10} {30}\] +1\.0 GiB of 4\.0 GiB +1\.5 GiB\/s  0:02 left$/)
  t.match(barLine(verifying, 60), /^verifying big\.iso  25% \[=+ *\] +1\.5 GiB\/s  0:02 left$/)
  t.match(barLine(verifying, 52), /^verifying  25% \[=+ *\] +1\.5 GiB\/s  0:02 left$/, 'the phase rather than the name')
  const watched = { source: 'x', phase: null as string | null, began: performance.now() - 1000, bytes: 5000, total: 5000 }
  const look = momentsOf(watched)
  look()
  Object.assign(watched, { phase: 'verifying', bytes: 0 })
  t.match(look(), { phase: 'verifying', bytes: 0, total: 5000, bytesPerSecond: 0 }, 'what was copied counts no more')
  watched.bytes = 4000
  t.ok(look().bytesPerSecond > 0)
  Object.assign(watched, { phase: 'another', bytes: 10 })
  t.ok(look().bytesPerSecond > 0, 'at the first look already, since it began')
})

t.test('of nothing, and of more than there should be, no share is told', async t => {
  for (const [bytes, total] of [[0, 0], [10, 0], [11, 10]]) {
    const seen = momentsOf({ source: 'x', phase: null, began: 0, bytes, total })()
    t.equal(progressLine(seen), `x: ${bytes} B, 0 B/s`)
    t.match(barLine(seen, 80), /^x +\d+ B +0 B\/s$/)
  }
})

t.test('a bar is as full as the copy has come', async t => {
  const full = (bytes: number): number => barLine({ ...moment, bytes }, 132).match(/\[(=*)( *)\]/)![1].length
  t.equal(barLine(moment, 132),
    `big.iso  25% [${'='.repeat(10)}${' '.repeat(30)}]    1.0 GiB of 4.0 GiB     1.5 GiB/s  0:02 left`)
  t.equal(full(0), 0)
  t.equal(full(2 * GiB), 20)
  t.equal(full(4 * GiB - 1), 39)
  t.equal(full(4 * GiB), 40)
})

t.test('a bar fits any terminal, with room for a ^C, and says what has room', async t => {
  const names = ['x', 'big.iso', 'a-name-that-is-much-too-long-for-anything.tar.zst', '長い名前の長いファイル.tar']
  for (const name of names) {
    for (const total of [4 * GiB, 1000 * MiB, null]) {
      for (let columns = 3; columns <= 140; columns++) {
        const line = barLine({ ...moment, name, total }, columns)
        const wide = line.length + (line.match(/[^\0-\u10ff…]/g) ?? []).length
        if (wide > columns - 3) t.fail(`${wide} columns of ${columns}: ${line}`)
        if (barLine({ ...moment, name, total, phase: 'verifying' }, columns).length > columns - 3) t.fail(`verifying in ${columns}`)
      }
      t.match(barLine({ ...moment, name, total }, 40), '1.5 GiB/s')
      const line = barLine({ ...moment, name, total }, 80)
      t.match(line, total === null ? name.slice(-4) : /^\S+ +\d+% \[=* *\] .* left$/)
    }
  }
  t.equal(barLine(moment, 60), `big.iso  25% [${'='.repeat(4)}${' '.repeat(14)}]    1.5 GiB/s  0:02 left`)
  t.equal(barLine(moment, 7), ' 25%')
})

t.test('a line does not change its length while it counts', async t => {
  const lengths = new Set<number>()
  for (let bytes = 1; bytes < 4 * GiB; bytes = Math.ceil(bytes * 1.7)) {
    lengths.add(barLine({ ...moment, bytes, bytesPerSecond: bytes / 3, secondsLeft: bytes / 1e8 }, 80).length)
  }
  t.equal(lengths.size, 1)
})
