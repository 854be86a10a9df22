// Sends a file as the body of a request, without holding it in memory: node upload.js FILE URL
import { stat } from 'node:fs/promises'
import { createUringReadableStream } from '../lib/index.js'

const [file, url] = process.argv.slice(2)
if (url === undefined) {
  console.error('usage: upload FILE URL')
  process.exit(2)
}

// Ctrl-C ends the request, the reads in flight and the process, in this order.
const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort())

const { size } = await stat(file)
const response = await fetch(url, {
  method: 'PUT',
  body: createUringReadableStream(file, { signal: interrupted.signal }),
  duplex: 'half', // what fetch wants to hear before it takes a stream
  headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
  signal: interrupted.signal
} as RequestInit)
console.log(response.status, await response.text())
if (!response.ok) process.exitCode = 1
