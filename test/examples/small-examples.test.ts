/** The examples, run as their readers would run them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Ended } from '../helpers/child.js'
import { runChild } from '../helpers/child.js'
import { makeFile } from '../helpers/files.js'
import { notUring } from '../helpers/ring-state.js'

function run(t: Test, example: string, args: string[]): Promise<Ended> {
  return runChild(t, new URL(`../../examples/${example}.js`, import.meta.url), args)
}

function succeeded(t: Test, { code, signal, stderr }: Ended): void {
  t.same({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
}

// Its O_DIRECT needs aligned memory, which JavaScript alone cannot allocate.
t.test('random-read reads as many whole blocks as it is told to', { skip: notUring }, async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 1_000_000)
  const ended = await run(t, 'random-read', [path, '500', '16'])
  succeeded(t, ended)
  t.match(ended.stdout, /^500 reads, 2048000 bytes, 16 in flight: [1-9]\d* reads per second\n$/)
})

t.test('random-read refuses a file without a whole block, and tells its usage', async t => {
  const { path } = makeFile(join(t.testdir(), 'file'), 4095)
  const small = await run(t, 'random-read', [path])
  t.not(small.code, 0)
  t.match(small.stderr, 'has no block of 4096 bytes')
  const { code, stderr } = await run(t, 'random-read', [])
  t.equal(code, 2)
  t.match(stderr, 'usage: node random-read.js')
})

t.test('batch-open tells the size and the first bytes of each file, in order', async t => {
  const directory = t.testdir()
  const files = Array.from({ length: 300 }, (_, i) => makeFile(join(directory, `file-${i}`), 37 * i))
  const ended = await run(t, 'batch-open', files.map(({ path }) => path))
  succeeded(t, ended)
  const lines = files.map(({ path, content }) =>
    `${path}: ${content.length} bytes, begins with ${content.toString('hex', 0, 8) || 'nothing'}\n`)
  t.equal(ended.stdout, lines.join(''))
})

t.test('batch-open names what it cannot open or read, and looks at the others', async t => {
  const directory = t.testdir({ here: '12345678' })
  const [here, missing] = [join(directory, 'here'), join(directory, 'missing')]
  const { code, stdout, stderr } = await run(t, 'batch-open', [missing, directory, here])
  t.equal(code, 1)
  t.equal(stderr, `${missing}: open failed (errno 2)\n${directory}: read failed (errno 21)\n`)
  t.equal(stdout, `${here}: 8 bytes, begins with 3132333435363738\n`)
})

t.test('worker-rings gives the sum of all bytes, however many workers there are', async t => {
  const { path, content } = makeFile(join(t.testdir(), 'file'), 3_000_001)
  const sum = content.reduce((all, byte) => all + byte, 0)
  for (const workers of ['1', '2', '5']) {
    const ended = await run(t, 'worker-rings', [path, workers])
    succeeded(t, ended)
    t.equal(ended.stdout, `${sum} is the sum of the 3000001 bytes of ${path}, by ${workers} workers\n`)
  }
})

t.test('worker-rings knows the sum of no bytes and of fewer bytes than workers', async t => {
  const path = join(t.testdir(), 'file')
  for (const [bytes, sum, workers] of [['', 0, 0], ['\x07\x09', 16, 2]] as const) {
    writeFileSync(path, bytes)
    const ended = await run(t, 'worker-rings', [path, '8'])
    succeeded(t, ended)
    t.equal(ended.stdout, `${sum} is the sum of the ${bytes.length} bytes of ${path}, by ${workers} workers\n`)
  }
})
