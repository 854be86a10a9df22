// Serves the files of a directory, with ranges, HEAD and conditional requests: node serve-file.js DIRECTORY [PORT]
import etag from 'etag'
import fresh from 'fresh'
import mime from 'mime'
import { constants } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, normalize, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import parseRange from 'range-parser'
import { open } from '../lib/index.js'

const [directory = '.', port = '8080'] = process.argv.slice(2)
const root = resolve(directory)

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (!['GET', 'HEAD'].includes(request.method!)) return void response.writeHead(405, { allow: 'GET, HEAD' }).end()
  const { pathname } = new URL(request.url!, 'http://localhost')
  const path = join(root, normalize(decodeURIComponent(pathname))) // `normalize` leaves no '..' behind a leading '/'
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK) // a FIFO would keep it waiting for a writer
  const stats = await file.stat()
  if (!stats.isFile()) return void response.writeHead(404).end()
  const { headers } = request
  response.setHeader('accept-ranges', 'bytes')
  response.setHeader('etag', etag(stats, { weak: false })) // If-Range compares strongly (RFC 9110, 13.1.5)
  response.setHeader('last-modified', stats.mtime.toUTCString())
  response.setHeader('content-type', mime.getType(path) ?? 'application/octet-stream')
  if (fresh(headers, response.getHeaders() as Record<string, string>)) return void response.writeHead(304).end()

  let [start, end] = [0, stats.size - 1]
  const condition = headers['if-range']
  const current = condition === undefined || [response.getHeader('etag'), response.getHeader('last-modified')].includes(condition)
  const range = request.method === 'GET' ? headers.range : undefined // only GET has ranges (RFC 9110, 14.2)
  const ranges = range !== undefined && current ? parseRange(stats.size, range, { combine: true }) : -2
  if (ranges === -1) return void response.writeHead(416, { 'content-range': `bytes */${stats.size}` }).end()
  if (typeof ranges === 'object' && ranges.type === 'bytes' && ranges.length === 1) { // several at once: all of the file
    ;[{ start, end }] = ranges
    response.statusCode = 206
    response.setHeader('content-range', `bytes ${start}-${end}/${stats.size}`)
  }
  response.setHeader('content-length', end - start + 1)
  if (request.method === 'HEAD' || end < start) return void response.end()
  // When the client goes away, pipeline destroys the reader: its reads are cancelled, then the file is closed.
  await pipeline(file.createReadStream({ start, end, autoClose: true }), response)
}

/** What the URL is to blame for; all else is 500. */
const statuses: Record<string, number> = {
  ENOENT: 404, ENOTDIR: 404, ENAMETOOLONG: 404, EACCES: 403, ERR_INVALID_URL: 400, ERR_INVALID_ARG_VALUE: 400 // a NUL
}

const server = createServer((request, response) => {
  serve(request, response).catch((error: NodeJS.ErrnoException) => {
    if (response.headersSent) response.destroy()
    else response.writeHead(error instanceof URIError ? 400 : statuses[error.code!] ?? 500).end()
  })
}).listen(Number(port), () => console.log(`http://localhost:${(server.address() as AddressInfo).port}/`))
