// On ext4 large writes find their space allocated: just that, just before, and nowhere else.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createUringWritableStream, createUringWriteStream } from '../../lib/index.js'
import type { SubmitMessage, WriteStreamOptions } from '../../lib/index.js'
import type { Request } from '../../lib/engine.js'
import { loadNative } from '../../lib/native.js'
import { withExt4, withMemory } from '../helpers/image.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing, endAndClose, turns, writeOne } from '../helpers/stream-events.js'

const MiB = 1 << 20
const pieces = Array.from({ length: 12 }, (_, i) => patterned(MiB + (i === 3 ? 5 : 0), i + 1))
const content = Buffer.concat(pieces)

const skip = loadNative() instanceof Error && 'without the addon nothing is allocated'

interface Transfer { operation: string, from: number, to: number }

/** The allocations and writes that are submitted while `body` runs. */
async function submittedIn(body: () => Promise<void>): Promise<Transfer[]> {
  const transfers: Transfer[] = []
  const record = (message: unknown): void => {
    const { operation, request } = message as SubmitMessage & { request: Request }
    const from = Number(request.position)
    if (operation === 'fallocate') transfers.push({ operation, from, to: from + request.address })
    else if (operation === 'write') transfers.push({ operation, from, to: from + request.length })
  }
  subscribe('uring-streams:submit', record)
  await body()
  unsubscribe('uring-streams:submit', record)
  return transfers
}

async function writeAll(path: string, options?: WriteStreamOptions): Promise<void> {
  const stream = createUringWriteStream(path, options)
  for (const piece of pieces) await writeOne(stream, piece)
  await endAndClose(stream)
}

function allocations(transfers: Transfer[]): Transfer[] {
  return transfers.filter(({ operation }) => operation === 'fallocate')
}

const ways: Record<string, (path: string) => Promise<void>> = {
  'a stream': writeAll,
  'a Web stream': async path => {
    const writer = createUringWritableStream(path).getWriter()
    for (const piece of pieces) await writer.write(piece)
    await writer.close()
  }
}

for (const [name, write] of Object.entries(ways)) {
  ringTest(`${name} on ext4 allocates what each write needs`, t => withExt4(t, 64, null, async folder => {
    const path = join(folder, 'file')
    const transfers = await submittedIn(() => write(path))
    t.ok(allocations(transfers).length > 2, `${allocations(transfers).length} of ${transfers.length}`)
    for (const [i, { operation, from, to }] of transfers.entries()) {
      const neighbour = operation === 'write' ? transfers[i - 1] : transfers[i + 1]
      t.same(neighbour, { operation: operation === 'write' ? 'fallocate' : 'write', from, to }, 'each write has its allocation')
    }
    t.ok(readFileSync(path).equals(content))
    t.ok(statSync(path).blocks * 512 - content.length < 64 * 1024, 'nothing is left over')
  }), skip)
}

ringTest('what is appended, is allocated already or is to be on the disk at once is written alone', t =>
  withExt4(t, 64, null, async folder => {
    const choices: WriteStreamOptions[] = [{ flags: 'a' }, { preallocate: content.length }, { sync: 'data' }]
    for (const [i, options] of choices.entries()) {
      const path = join(folder, `file-${i}`)
      const transfers = await submittedIn(() => writeAll(path, options))
      const those = 'preallocate' in options ? allocations(transfers).slice(1) : allocations(transfers) // the option's own
      t.same(those, [], JSON.stringify(options))
      t.ok(readFileSync(path).equals(content))
    }
  }), skip)

ringTest('and so is what begins with a small write', t => withExt4(t, 64, null, async folder => {
  const path = join(folder, 'file')
  const transfers = await submittedIn(async () => {
    const stream = createUringWriteStream(path)
    await writeOne(stream, content.subarray(0, 65536))
    await writeOne(stream, content.subarray(65536))
    await endAndClose(stream)
  })
  t.same(allocations(transfers), [])
  t.ok(readFileSync(path).equals(content))
}), skip)

ringTest('on another file system nothing is allocated', t => withMemory(t, 'tmpfs', async folder => {
  const path = join(folder, 'file')
  t.same(allocations(await submittedIn(() => writeAll(path))), [])
  t.ok(readFileSync(path).equals(content))
}), skip)

ringTest('in the middle of a file what surrounds it stays', t => withExt4(t, 64, null, async folder => {
  const path = join(folder, 'file')
  const before = patterned(content.length + 3 * MiB, 99)
  writeFileSync(path, before)
  await writeAll(path, { flags: 'r+', start: MiB + 1 })
  content.copy(before, MiB + 1)
  t.ok(readFileSync(path).equals(before))
}), skip)

ringTest('a full disk is the write\'s error, and what fits is there', t => withExt4(t, 12, null, async folder => {
  const path = join(folder, 'file')
  const stream = createUringWriteStream(path)
  const closed = closing(stream)
  for (const piece of pieces) stream.write(piece)
  stream.end()
  const error = await closed as NodeJS.ErrnoException
  t.match(error, { code: 'ENOSPC', syscall: 'write' })
  t.equal(statSync(path).size, stream.bytesWritten)
  t.ok(readFileSync(path).equals(content.subarray(0, stream.bytesWritten)))
  t.ok(stream.bytesWritten > 8 * MiB, `${stream.bytesWritten} bytes`)
}), skip)

ringTest('destroyed at any moment a stream leaves no space behind its end', t => withExt4(t, 64, null, async folder => {
  for (let i = 0; i < 20; i++) {
    const path = join(folder, 'file')
    const stream = createUringWriteStream(path)
    const closed = closing(stream)
    for (const piece of pieces) stream.write(piece)
    await turns(i)
    stream.destroy()
    await closed
    const { size, blocks } = statSync(path)
    t.ok(blocks * 512 - size < 64 * 1024, `${size} bytes in ${blocks} blocks`)
    t.ok(readFileSync(path).equals(content.subarray(0, size)))
  }
}), skip)
