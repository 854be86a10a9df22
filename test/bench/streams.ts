// How streams are driven: the same code for ours and for the peers.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import type { Source } from './bench.js'
import type { Content } from './content.js'
import { seconds } from './harness.js'
import type { Case } from './harness.js'

export type OnChunk = (chunk: Buffer) => void

/** Reads by 'data' until 'close'. */
export function byData(stream: Readable, onChunk: OnChunk): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.on('data', onChunk)
    stream.once('error', reject)
    stream.once('close', resolve)
  })
}

export async function byForAwait(stream: Readable, onChunk: OnChunk): Promise<void> {
  for await (const chunk of stream) onChunk(chunk as Buffer)
}

/** A case that reads the whole source; `read` opens it anew each time. */
export function readCase(name: string, { path, content }: Source, read: (path: string, onChunk: OnChunk) => Promise<void>): Case {
  return {
    name,
    async verify() {
      const hash = createHash('sha256')
      await read(path, chunk => void hash.update(chunk))
      content.checkHash(hash, name)
    },
    async round() {
      const checker = content.checker()
      const taken = await seconds(() => read(path, checker.see))
      checker.done()
      return taken
    }
  }
}

/** A case that makes a file of this content; `write` gives the seconds it took. */
export function writeCase(name: string, path: string, content: Content, write: (path: string) => Promise<number>): Case {
  async function fresh(check: (path: string) => void): Promise<number> {
    rmSync(path, { force: true })
    try {
      const taken = await write(path)
      check(path)
      return taken
    } finally {
      // At once, and before the next case begins: the write-back of its dirty pages would be on the others' time.
      rmSync(path, { force: true })
    }
  }
  return {
    name,
    verify: async () => { await fresh(written => content.verifyFile(written)) },
    // Twice, timed once: a virtual machine gives memory that was free for two seconds back to its host, and the first
    // file after that takes up to 4x as long, whoever writes it.
    async round() {
      await fresh(() => {})
      return fresh(written => content.sampleFile(written))
    }
  }
}

/** Writes `count` pieces, obeying write()'s answer and 'drain'; the seconds until 'finish'. */
export async function writePieces(open: () => Writable, count: number, piece: (index: number) => Buffer | string): Promise<number> {
  let stream!: Writable
  const taken = await seconds(() => new Promise<void>((resolve, reject) => {
    stream = open()
    let index = 0
    const more = () => {
      while (index < count) {
        if (!stream.write(piece(index++)) && index < count) return
      }
      stream.end()
    }
    stream.on('drain', more).once('finish', resolve).once('error', reject)
    more()
  }))
  await closed(stream)
  return taken
}

/** Pipes until the target's 'close'. */
export function pipe(source: Readable, target: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    source.once('error', reject)
    target.once('error', reject).once('close', resolve)
    source.pipe(target)
  })
}

async function closed(stream: Writable): Promise<void> {
  if (!stream.closed) await once(stream, 'close')
}
