/** Atomic copies to new names on file systems without hard links, as link(2) answers there. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Running } from '../helpers/copy-tool.js'
import { content, Fifo, startCopy } from '../helpers/copy-tool.js'
import { notRefusing, refuse } from '../helpers/refuse-call.js'

const bytes = content(300_000)

/** Begins to copy from a pipe to a new name, where links are answered so. */
async function startCopying(dir: string, code: 'EPERM' | 'EOPNOTSUPP' | 'ENOSYS'): Promise<{ running: Running, fifo: Fifo }> {
  const fifo = new Fifo(join(dir, 'source'))
  const wrap = [refuse, String(constants.errno[code]), 'link']
  const running = startCopy(['-q', '--atomic', fifo.path, join(dir, 'target')], {}, { wrap })
  await fifo.feed(bytes, running)
  return { running, fifo }
}

for (const code of ['EPERM', 'EOPNOTSUPP', 'ENOSYS'] as const) {
  t.test(`an atomic copy to a new name where link answers ${code}`, { skip: notRefusing }, async t => {
    const dir = t.testdir()
    const { running, fifo } = await startCopying(dir, code)
    fifo.close()
    t.same(await running.ended, { code: 0, signal: null, stdout: '', stderr: '' })
    t.ok(readFileSync(join(dir, 'target')).equals(bytes))
    t.same(readdirSync(dir), ['source', 'target'])
  })
}

t.test('and one whose name is taken meanwhile', { skip: notRefusing }, async t => {
  const dir = t.testdir()
  const { running, fifo } = await startCopying(dir, 'EPERM')
  writeFileSync(join(dir, 'target'), 'precious')
  fifo.close()
  const { code, stderr } = await running.ended
  t.equal(code, 1)
  t.match(stderr, 'EEXIST')
  t.equal(readFileSync(join(dir, 'target'), 'utf8'), 'precious')
  t.same(readdirSync(dir), ['source', 'target'])
})
