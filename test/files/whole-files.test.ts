import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { readFile as fsReadFile, writeFile as fsWriteFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import type { Test } from 'tap'
import { readFile, writeFile } from '../../lib/index.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'

function fileOf(t: Test, content: string | Buffer): string {
  return join(t.testdir({ file: content }), 'file')
}

/** What a promise is rejected with, as far as callers look at it. */
async function rejection(promise: Promise<unknown>): Promise<object> {
  const { name, code, syscall, path, message } = await promise.then(
    () => ({ name: 'none' }) as NodeJS.ErrnoException, (error: NodeJS.ErrnoException) => error)
  return { name, code, syscall, path, message }
}

ringTest('readFile gives what the file has, whatever its size', async t => {
  for (const size of [0, 1, 4096, 262_144, 262_145, 3_000_001]) {
    const content = patterned(size)
    const path = fileOf(t, content)
    t.ok((await readFile(path)).equals(content), `${size} bytes`)
    t.equal(await readFile(path, 'base64'), content.toString('base64'))
  }
})

ringTest('paths may be of another realm, and a URL of another implementation, as with node:fs', async t => {
  const path = fileOf(t, 'content')
  const { href, protocol, hostname, pathname, host } = pathToFileURL(path)
  const bytes: Buffer = runInNewContext('Uint8Array').from(Buffer.from(path))
  t.notOk(bytes instanceof Uint8Array)
  for (const foreign of [bytes, { href, protocol, hostname, pathname, host } as URL]) {
    t.equal(await fsReadFile(foreign, 'utf8'), 'content')
    t.equal(await readFile(foreign, 'utf8'), 'content')
  }
  await t.rejects(readFile({ href } as URL), { code: 'ERR_INVALID_ARG_TYPE' })
})

ringTest('readFile of a file that does not tell its size gives all of it', async t => {
  t.equal(await readFile('/proc/self/limits', { encoding: 'utf8' }), readFileSync('/proc/self/limits', 'utf8'))
})

ringTest('readFile decodes characters that lie across two reads', async t => {
  const text = 'x' + 'ä€😀'.repeat(100_000)
  t.equal(await readFile(fileOf(t, text), { encoding: 'utf8' }), text)
})

ringTest('writeFile writes strings, memory of every kind, iterables and streams', async t => {
  const bytes = patterned(3000)
  const shared = new Uint8Array(new SharedArrayBuffer(3000))
  shared.set(bytes)
  async function * later(): AsyncGenerator<string> {
    yield 'later, '
    yield 'and more'
  }
  const cases: [data: Parameters<typeof writeFile>[1], expected: Buffer][] = [
    ['ä', Buffer.from('ä')], ['', Buffer.alloc(0)], [bytes, bytes], [shared, bytes],
    [new DataView(bytes.buffer, bytes.byteOffset, 100), bytes.subarray(0, 100)],
    [new Uint16Array([1, 2]), Buffer.from([1, 0, 2, 0])], [new Uint8Array(bytes).buffer, bytes],
    [['a', 'b', bytes], Buffer.concat([Buffer.from('ab'), bytes])], [later(), Buffer.from('later, and more')],
    [Readable.from([bytes, bytes]), Buffer.concat([bytes, bytes])]
  ]
  const path = fileOf(t, 'what was there before, and longer than some of these')
  for (const [data, expected] of cases) {
    t.equal(await writeFile(path, data), undefined)
    t.ok(readFileSync(path).equals(expected), `${expected.length} bytes`)
  }
})

ringTest('writeFile obeys flag, mode and encoding', async t => {
  const path = fileOf(t, 'begun ')
  await writeFile(path, '656e646564', { flag: 'a', encoding: 'hex' })
  t.equal(readFileSync(path, 'utf8'), 'begun ended')
  await writeFile(path, 'latin: ä', 'latin1')
  t.equal(readFileSync(path, 'latin1'), 'latin: ä')
  const made = join(t.testdir({}), 'made')
  await writeFile(made, 'x', { mode: 0o600, flush: true })
  t.equal(statSync(made).mode & 0o777, 0o600)
})

ringTest('both reject as those of fs.promises', async t => {
  const path = fileOf(t, 'kept')
  const missing = join(path, '..', 'missing')
  const directory = join(path, '..')
  t.same(await rejection(readFile(missing)), await rejection(fsReadFile(missing)))
  t.equal((await rejection(readFile(directory)) as { code: string }).code, 'EISDIR')
  t.same(await rejection(writeFile(directory, 'x')), await rejection(fsWriteFile(directory, 'x')))
  t.same(await rejection(writeFile(path, 'x', { flag: 'wx' })), await rejection(fsWriteFile(path, 'x', { flag: 'wx' })))
  t.match(await rejection(readFile(1.5 as never)), { code: 'ERR_INVALID_ARG_TYPE' })
  t.match(await rejection(readFile(path, 'utf' as never)), { code: 'ERR_INVALID_ARG_VALUE' })
  for (const data of [undefined, null, 1, {}, () => {}]) {
    t.match(await rejection(writeFile(path, data as never)), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.equal(readFileSync(path, 'utf8'), 'kept', 'bad data leaves the file alone')
})

ringTest('a signal ends both with AbortError, and an iterable that throws is the rejection', async t => {
  const path = fileOf(t, 'content')
  t.match(await rejection(readFile(path, { signal: AbortSignal.abort() })), { name: 'AbortError', code: 'ABORT_ERR' })
  const controller = new AbortController()
  async function * endless(): AsyncGenerator<Buffer> {
    for (let i = 0; ; i++) {
      if (i === 20) controller.abort()
      yield patterned(1000, i + 1)
    }
  }
  t.match(await rejection(writeFile(path, endless(), { signal: controller.signal })), { name: 'AbortError', code: 'ABORT_ERR' })
  function * failing(): Generator<string> {
    yield 'begun'
    throw new Error('no more')
  }
  t.match(await rejection(writeFile(path, failing())), { message: 'no more' })
  writeFileSync(path, 'x')
})
