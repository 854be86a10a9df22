// The methods that UringFile has in common with FileHandle beside reads and writes: each test runs on both.
import { existsSync, readFileSync, statSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open as openHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { open, writeFile } from '../../lib/index.js'
import { isOpenOn } from '../helpers/descriptors.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'

/** What `use` gives on a file of this content, opened with these flags, and what the file has afterwards. */
async function onBoth(t: Test, content: string | Buffer, flags: string, use: (file: FileHandle) => Promise<unknown>): Promise<unknown> {
  const outcomes = []
  for (const opener of [openHandle, open as unknown as typeof openHandle]) {
    const path = join(t.testdir({ file: content }), 'file')
    const file = await opener(path, flags)
    const { fd } = file
    const given = await use(file).catch(({ name, code, message }) => ({ name, code, message }))
    await file.close()
    t.notOk(isOpenOn(fd, path), 'closed')
    const { mode, atimeMs, mtimeMs } = statSync(path)
    outcomes.push({ given, content: readFileSync(path), mode, times: flags === 'r' ? [atimeMs, mtimeMs] : null })
  }
  const [there, here] = outcomes
  t.same(here.given, there.given)
  t.ok(here.content.equals(there.content), 'the same bytes in the file')
  t.equal(here.mode, there.mode)
  return here.given
}

ringTest('readFile reads from where the file stands, again and again', async t => {
  const content = patterned(700_001)
  await onBoth(t, content, 'r', async file => {
    const { buffer } = await file.read(Buffer.alloc(10), 0, 10, null)
    const rest = await file.readFile()
    return [buffer, rest, await file.readFile(), await file.readFile('utf8')]
  })
  t.equal(await onBoth(t, 'äöü', 'r', file => file.readFile({ encoding: 'utf8' })), 'äöü')
})

ringTest('writeFile and appendFile write from where the file stands and cut nothing off', async t => {
  async function * pieces(): AsyncGenerator<string | Buffer> {
    yield 'one '
    yield Buffer.from('two ')
  }
  await onBoth(t, 'what was there before', 'r+', async file => {
    await file.write('ab')
    await file.writeFile('ÄÖ', 'latin1')
    await file.appendFile(pieces() as unknown as string) // types of Node 20 know of no iterables
    return file.readFile('utf8')
  })
  await onBoth(t, 'before ', 'a+', async file => {
    await file.appendFile('after', { encoding: 'utf8' })
    await file.writeFile(new Uint8Array([33]))
  })
})

ringTest('close waits for readFile, writeFile and appendFile', async t => {
  const content = patterned(700_001)
  const uses: ((file: FileHandle) => Promise<unknown>)[] = [
    file => file.readFile(), file => file.writeFile(patterned(600_000)), file => file.appendFile('more')
  ]
  for (const use of uses) {
    await onBoth(t, content, 'r+', async file => {
      const used = use(file)
      await file.close()
      return used
    })
  }
})

ringTest('behind what was appended nothing is left to read', async t => {
  const given = await onBoth(t, patterned(1000), 'a+', async file => {
    await file.read(Buffer.alloc(10), 0, 10, null)
    await file.appendFile('more')
    return file.readFile('utf8')
  })
  t.equal(given, '')
  await onBoth(t, patterned(1000), 'a+', async file => [await file.read(Buffer.alloc(10), 0, 10, null), await file.appendFile(''), await file.readFile()])
})

ringTest('writeFile of what cannot be written is refused, and a failing iterable is its error', async t => {
  await onBoth(t, 'kept', 'r+', file => file.writeFile(3 as never).catch(({ code }) => code))
  async function * failing(): AsyncGenerator<string> {
    yield 'a'
    throw new RangeError('mine')
  }
  await onBoth(t, 'kept', 'r+', file => file.writeFile(failing() as unknown as string))
})

const full = !existsSync('/dev/full') && 'no /dev/full here'
ringTest('writeFile in pieces onto a full disk rejects with the error of the disk', async t => {
  const piece = patterned(300_000)
  const many = Array.from({ length: 20 }, () => piece)
  async function * failing(): AsyncGenerator<Buffer> {
    yield * many
    throw new Error('behind what the disk has no room for')
  }
  for (const data of [piece, many, failing()]) {
    await t.rejects(writeFile('/dev/full', data), { code: 'ENOSPC', syscall: 'write' })
  }
}, full)

ringTest('a signal ends readFile and writeFile with an AbortError, and the file stays open', async t => {
  const path = join(t.testdir({ file: patterned(3_000_000) }), 'file')
  await using file = await open(path, 'r+')
  const gone = AbortSignal.abort('the reason')
  await t.rejects(file.readFile({ signal: gone }), { name: 'AbortError', code: 'ABORT_ERR', cause: 'the reason' })
  await t.rejects(file.writeFile('text', { signal: gone }), { name: 'AbortError', code: 'ABORT_ERR' })
  const controller = new AbortController()
  const reading = file.readFile({ signal: controller.signal })
  controller.abort()
  await t.rejects(reading, { name: 'AbortError' })
  t.ok(isOpenOn(file.fd, path))
  t.equal((await file.read(Buffer.alloc(4), 0, 4, 0)).bytesRead, 4)
})

ringTest('readLines gives the lines', async t => {
  await onBoth(t, 'one\r\ntwo\nthree', 'r', async file => {
    const lines = []
    for await (const line of file.readLines({ autoClose: false })) lines.push(line)
    return lines
  })
})

ringTest('readableWebStream reads from where the file stands and leaves it open', async t => {
  await onBoth(t, patterned(50_000), 'r', async file => {
    await file.read(Buffer.alloc(100))
    const chunks = []
    for await (const chunk of file.readableWebStream() as ReadableStream<Uint8Array>) chunks.push(Buffer.from(chunk))
    return [Buffer.concat(chunks), (await file.read(Buffer.alloc(10), 0, 10, 0)).buffer]
  })
  await using file = await open(join(t.testdirName, 'file'))
  const { fd } = file
  for await (const _chunk of file.readableWebStream({ autoClose: true })) { /* to the end */ }
  t.notOk(isOpenOn(fd, join(t.testdirName, 'file')), 'with autoClose it is closed')
})

ringTest('chmod, chown and utimes', async t => {
  await onBoth(t, 'x', 'r+', async file => {
    await file.chmod(0o640)
    await file.chown(process.getuid!(), process.getgid!())
    await file.utimes(1_000, new Date(2_000_000))
    const { mode, atimeMs, mtimeMs } = await file.stat()
    return [mode, atimeMs, mtimeMs]
  })
})

ringTest('on a closed file all of them reject with EBADF', async t => {
  const file = await open(join(t.testdir({ file: 'x' }), 'file'), 'r+')
  await file.close()
  const calls = {
    readFile: () => file.readFile(), writeFile: () => file.writeFile('x'), appendFile: () => file.appendFile('x'),
    chmod: () => file.chmod(0o600), chown: () => file.chown(0, 0), utimes: () => file.utimes(0, 0)
  }
  for (const [name, call] of Object.entries(calls)) await t.rejects(call() as Promise<unknown>, { code: 'EBADF' }, name)
})
