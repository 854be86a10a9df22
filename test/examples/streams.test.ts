import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { runChild } from '../helpers/child.js'
import { makeFiles } from '../helpers/files.js'
import { sha256 } from '../helpers/seeded.js'

const example = (name: string) => new URL(`../../examples/${name}.js`, import.meta.url)
const inSilence = { code: 0, signal: null, stdout: '', stderr: '' }

t.test('web-copy writes a text in capitals', async t => {
  const directory = t.testdir()
  const [source, target] = [join(directory, 'source'), join(directory, 'target')]
  const text = 'Grüße, € and 𝄞! '.repeat(150_000) // characters of 2, 3 and 4 bytes across the ends of chunks
  writeFileSync(source, text)
  t.same(await runChild(t, example('web-copy'), [source, target]), inSilence)
  t.equal(sha256(readFileSync(target)), sha256(Buffer.from(text.toUpperCase())))
})

t.test('web-copy of a file onto itself replaces it', async t => {
  const source = join(t.testdir(), 'source')
  writeFileSync(source, 'text '.repeat(500_000))
  t.same(await runChild(t, example('web-copy'), [source, source]), inSilence)
  t.equal(readFileSync(source, 'utf8'), 'TEXT '.repeat(500_000))
})

t.test('web-copy tells of a source that is not there, and of missing arguments', async t => {
  const directory = t.testdir()
  const missing = await runChild(t, example('web-copy'), [join(directory, 'missing'), join(directory, 'target')])
  t.equal(missing.code, 1)
  t.match(missing.stderr, /ENOENT/)
  t.same(readdirSync(directory), [], 'no target, nor a part of one')
  t.match(await runChild(t, example('web-copy'), []), { code: 2, stderr: /usage/ })
})

t.test('hash prints what sha256sum prints, and goes on after a file that it cannot read', async t => {
  const files = makeFiles(t.testdir(), [0, 10, 3_000_001])
  const ended = await runChild(t, example('hash'), [files[0].path, '/nowhere', files[1].path, files[2].path])
  t.equal(ended.stdout, files.map(({ sha256, path }) => `${sha256}  ${path}\n`).join(''))
  t.match(ended, { code: 1, stderr: /ENOENT: .* '\/nowhere'/ })
})

t.test('upload sends a file with its length', async t => {
  const [file] = makeFiles(t.testdir(), [3_000_001])
  const received: { headers: IncomingHttpHeaders, sha256: string }[] = []
  const server = createServer((request, response) => {
    buffer(request).then(body => {
      received.push({ headers: request.headers, sha256: sha256(body) })
      response.writeHead(request.url === '/refused' ? 403 : 201).end('thanks')
    }, () => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.same(await runChild(t, example('upload'), [file.path, `${url}/file`]), { ...inSilence, stdout: '201 thanks\n' })
  t.match(await runChild(t, example('upload'), [file.path, `${url}/refused`]), { code: 1, stdout: '403 thanks\n' })
  server.close()
  t.equal(received.length, 2)
  t.match(received[0], { sha256: file.sha256, headers: { 'content-length': '3000001' } })
})

t.test('serve-file answers as a file server does', async t => {
  const directory = t.testdir({ 'page.html': 'x'.repeat(1000), 'empty.txt': '', folder: {} })
  const [file] = makeFiles(directory, [2_000_000])
  await runChild(t, example('serve-file'), [directory, '0'], {
    started: async child => {
      const [line] = await once(child.stdout!, 'data') as [Buffer]
      const url = line.toString().trim()
      await answers(t, url, file)
      child.kill('SIGTERM')
    }
  })
})

async function answers(t: { same: Function, equal: Function, match: Function }, url: string, file: { content: Buffer, sha256: string }): Promise<void> {
  const get = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const response = await fetch(url + path, { method, headers: { connection: 'close', 'cache-control': 'max-age=0', ...headers } }) // fetch would say no-cache
    const body = Buffer.from(await response.arrayBuffer())
    const header = (name: string) => response.headers.get(name)
    return { status: response.status, body, length: header('content-length'), range: header('content-range'), type: header('content-type'), etag: header('etag')!, modified: header('last-modified')! }
  }
  const whole = await get('file-0')
  t.match(whole, { status: 200, length: '2000000', type: 'application/octet-stream' })
  t.equal(sha256(whole.body), file.sha256)
  t.match(await get('page.html'), { status: 200, type: 'text/html', length: '1000' })
  t.match(await get('empty.txt'), { status: 200, length: '0' })

  for (const [range, start, end] of [['bytes=10-19', 10, 19], ['bytes=1999990-', 1_999_990, 1_999_999], ['bytes=-5', 1_999_995, 1_999_999], ['bytes=0-0', 0, 0]] as [string, number, number][]) {
    const part = await get('file-0', { range })
    t.match(part, { status: 206, range: `bytes ${start}-${end}/2000000`, length: `${end - start + 1}` }, range)
    t.equal(sha256(part.body), sha256(file.content.subarray(start, end + 1)))
  }
  t.match(await get('file-0', { range: 'bytes=2000000-' }), { status: 416, range: 'bytes */2000000' })
  t.match(await get('file-0', { range: 'lines=1-2' }), { status: 200, length: '2000000' })
  t.match(await get('file-0', { range: 'bytes=1-2', 'if-range': whole.etag }), { status: 206 })
  t.match(await get('file-0', { range: 'bytes=1-2', 'if-range': '"other"' }), { status: 200 })
  t.match(await get('file-0', { range: 'bytes=1-2', 'if-range': `W/${whole.etag}` }), { status: 200 }, 'a weak one is no match')

  const head = await get('file-0', {}, 'HEAD')
  t.match(head, { status: 200, length: '2000000' })
  t.equal(head.body.length, 0)
  t.match(await get('file-0', { range: 'bytes=1-2' }, 'HEAD'), { status: 200, length: '2000000', range: null }, 'only GET has ranges')
  t.match(await get('file-0', { 'if-none-match': whole.etag }), { status: 304 })
  t.match(await get('file-0', { 'if-modified-since': whole.modified }), { status: 304 })
  t.match(await get('file-0', { 'if-none-match': '"other"' }), { status: 200 })

  for (const path of ['missing', 'folder', 'page.html/x', 'x'.repeat(300), '..%2f..%2f..%2fetc%2fpasswd']) {
    t.equal((await get(path)).status, 404, path)
  }
  for (const path of ['%ff', 'a%00b', '/']) t.equal((await get(path)).status, 400, path)
  t.equal((await get('file-0', {}, 'POST')).status, 405)

  const gone = new AbortController()
  const response = await fetch(`${url}file-0`, { signal: gone.signal })
  await response.body!.getReader().read()
  gone.abort()
  t.equal((await get('page.html')).status, 200, 'it goes on after a client that went away')
}
