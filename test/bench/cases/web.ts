// Web streams over files that are in the page cache, and the memory that a large file takes.
import { execFileSync } from 'node:child_process'
import { closeSync, createReadStream, createWriteStream, openSync, readSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import type { ReadableByteStreamController } from 'node:stream/web'
import { ReadableStream } from 'node:stream/web'
import { fileURLToPath } from 'node:url'
import { allocateAligned, createUringReadableStream, createUringWritableStream } from '../../../lib/index.js'
import type { Bench } from '../bench.js'
import { mebibytes, milliseconds, rateOfSize } from '../format.js'
import { seconds } from '../harness.js'
import type { Case, Row } from '../harness.js'
import { cp, ddReadCase } from '../peers.js'
import { byData, readCase, writeCase } from '../streams.js'
import type { OnChunk } from '../streams.js'
import { byReader, byViews, withHandle } from '../web.js'

const viewBytes = 1 << 20

const defaultReader: Row = {
  name: 'Web default reader, hot',
  cases(bench) {
    const source = bench.source()
    return [
      readCase('our default reader', source, (path, onChunk) => byReader(createUringReadableStream(path), onChunk)),
      readCase('FileHandle.readableWebStream', source, (path, onChunk) => withHandle(path, stream => byReader(stream, onChunk))),
      readCase('fs.createReadStream', source, (path, onChunk) => byData(createReadStream(path), onChunk))
    ]
  },
  goals: [
    { ours: 'our default reader', peer: 'FileHandle.readableWebStream', atLeast: 5 },
    { ours: 'our default reader', peer: 'fs.createReadStream', atLeast: 3 }
  ],
  format: milliseconds,
  rate: rateOfSize
}

/** A view that begins so many bytes into a page: where malloc puts one is not the same in each process. */
function viewAt(pageOffset: number): Uint8Array {
  return allocateAligned(viewBytes + pageOffset, 4096).subarray(pageOffset)
}

async function readSyncInto(path: string, view: Uint8Array, onChunk: OnChunk): Promise<void> {
  const fd = openSync(path, 'r')
  try {
    for (let bytes; (bytes = readSync(fd, view)) > 0;) onChunk(Buffer.from(view.buffer, view.byteOffset, bytes))
  } finally {
    closeSync(fd)
  }
}

/** Node's own byte stream, which reads synchronously when it is asked: no source can bring it bytes faster. */
function nodesByteStream(path: string): ReadableStream<Uint8Array> {
  const fd = openSync(path, 'r')
  return new ReadableStream({
    type: 'bytes',
    pull(controller: ReadableByteStreamController) {
      const byobRequest = controller.byobRequest!
      const bytes = readSync(fd, byobRequest.view as Uint8Array)
      if (bytes === 0) {
        closeSync(fd)
        controller.close()
      }
      byobRequest.respond(bytes)
    }
  })
}

const byob: Row = {
  name: 'BYOB reader, 1 MiB views, hot',
  note: "aligned: memory of allocateAligned, on a 64-byte boundary; V8's place: 16 bytes into a page, where a process's " +
    "first large Uint8Array is; elsewhere: 2064 bytes into a page; Node's byte stream: over a source that calls fs.readSync",
  cases(bench) {
    const source = bench.source()
    const byBoth = (place: string, pageOffset: number) => [
      readCase(`BYOB, ${place}`, source, (path, onChunk) => byViews(createUringReadableStream(path), viewAt(pageOffset), onChunk)),
      readCase(`fs.readSync, ${place}`, source, (path, onChunk) => readSyncInto(path, viewAt(pageOffset), onChunk)),
      readCase(`Node's byte stream, ${place}`, source, (path, onChunk) => byViews(nodesByteStream(path), viewAt(pageOffset), onChunk))
    ]
    return [...byBoth('aligned', 0), ...byBoth("V8's place", 16), ...byBoth('elsewhere', 2064), ddReadCase(source)]
  },
  goals: [
    { ours: 'BYOB, aligned', peer: 'dd bs=1M of=/dev/null', atLeast: 0.75 },
    { ours: "BYOB, V8's place", peer: "fs.readSync, V8's place", atLeast: 0.95 },
    { ours: 'BYOB, elsewhere', peer: 'fs.readSync, elsewhere', atLeast: 0.95 },
    { ours: "Node's byte stream, V8's place", peer: "fs.readSync, V8's place" },
    { ours: "Node's byte stream, elsewhere", peer: 'fs.readSync, elsewhere' }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const pipeTo: Row = {
  name: 'Web pipeTo, hot',
  note: 'cp: its process from start to end',
  cases(bench) {
    const { path: source, content } = bench.source()
    const target = bench.path('web-copy')
    return [
      writeCase('pipeTo between ours', target, content, path =>
        seconds(() => createUringReadableStream(source).pipeTo(createUringWritableStream(path)))),
      writeCase('readableWebStream to Writable.toWeb', target, content, path =>
        seconds(() => withHandle(source, stream => stream.pipeTo(Writable.toWeb(createWriteStream(path)))))),
      writeCase('cp', target, content, path => cp(source, path))
    ]
  },
  goals: [
    { ours: 'pipeTo between ours', peer: 'cp', atLeast: 0.85 },
    { ours: 'pipeTo between ours', peer: 'readableWebStream to Writable.toWeb', atLeast: 6 }
  ],
  format: milliseconds,
  rate: rateOfSize
}

const sparseBytes = 10 * 2 ** 30
const fixture = fileURLToPath(new URL('../fixtures/web-memory.js', import.meta.url))
/** The watchdog of the run cannot fire while this process waits for a child. */
const childMsMax = 300_000

function peakBytes(...args: string[]): number {
  return Number(execFileSync(process.execPath, [fixture, ...args], { encoding: 'utf8', timeout: childMsMax }))
}

/** The target is /dev/null: 10 GiB of zeros would be on the disk otherwise. */
function memoryCase(bench: Bench): Case {
  const source = bench.path('sparse')
  const work = async () => {
    writeFileSync(source, '')
    truncateSync(source, sparseBytes)
    try {
      if (statSync(source).blocks > 8) throw new Error('the file is not sparse')
      return peakBytes('transform', source, String(sparseBytes)) - peakBytes('idle')
    } finally {
      rmSync(source, { force: true })
    }
  }
  return { name: 'readable, transform, writable', verify: async () => { await work() }, round: work }
}

const memory: Row = {
  name: 'memory of 10 GiB through Web streams',
  note: 'VmHWM of a process that sends a sparse file through a TransformStream to /dev/null, less an idle one\'s that imported the same',
  cases: bench => [memoryCase(bench)],
  goals: [{ ours: 'readable, transform, writable', atMost: 40 * (1 << 20) }],
  format: mebibytes
}

export const webRows: Row[] = [defaultReader, byob, pipeTo, memory]
