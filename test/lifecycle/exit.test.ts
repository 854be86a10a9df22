import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { lineOf, runChild } from '../helpers/child.js'
import { makeFifo, makeFile } from '../helpers/files.js'
import { notUring } from '../helpers/ring-state.js'

const exitAt = new URL('./fixtures/exit-at.js', import.meta.url)
const stay = new URL('./fixtures/stay.js', import.meta.url)
/** What ends only when somebody comes to the other end of the FIFO. */
const endless = ['waiting for a FIFO', 'opening a FIFO']

function directory(t: Test): string {
  const path = t.testdir()
  makeFile(join(path, 'source'), 3_000_000)
  makeFifo(join(path, 'fifo'))
  return path
}

const list = await runChild(t, exitAt, ['', 'list', ''])
const stages = list.stdout.trim().split('\n')
t.ok(stages.includes('reading') && stages.includes('piping'), `${stages.length} stages of life`)

for (const stage of stages) {
  if (!endless.includes(stage)) {
    t.test(`a process ends by itself: ${stage}`, async t => {
      const ended = await runChild(t, exitAt, [stage, 'itself', directory(t)])
      t.same(ended, { code: 0, signal: null, stdout: `at ${stage}\n`, stderr: '' })
    })
  }
  // As with node:fs alone: the process waits for its threads, which nobody can stop.
  const skip = endless.includes(stage) && notUring
  t.test(`process.exit() ends a process: ${stage}`, { skip }, async t => {
    const ended = await runChild(t, exitAt, [stage, 'exit', directory(t)])
    t.same(ended, { code: 7, signal: null, stdout: `at ${stage}\n`, stderr: '' })
  })
}

for (const way of ['submit', 'stream']) {
  t.test(`a process does not end while an operation is in flight, and ends after it (${way})`, async t => {
    const { code, stdout } = await runChild(t, stay, [way], {
      started: async child => {
        t.equal(await lineOf(child), 'still here')
        child.stdin!.end('words')
      }
    })
    t.equal(code, 0)
    t.equal(stdout, 'still here\nread words\nleaves\n')
  })
}
