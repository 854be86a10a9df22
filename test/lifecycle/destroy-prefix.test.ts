import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import type { UringWriteStream } from '../../lib/index.js'
import { makeFile } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { patterned, seededFor } from '../helpers/seeded.js'
import type { Seeded } from '../helpers/seeded.js'
import { closing, turns, until } from '../helpers/stream-events.js'

const moments = 300

/**
 * Lets turns of the event loop, ticks and promise jobs pass: any of them may find the stream in another state. Half of the times
 * not before so much is written: how many turns that takes is the machine's affair.
 */
async function someMoment(random: Seeded, writer: UringWriteStream): Promise<void> {
  const enough = random.chance() ? random.between(0, 600_000) : 0
  await until(() => writer.bytesWritten >= enough)
  await turns(random.between(0, 6))
  for (let ticks = random.between(0, 3); ticks > 0; ticks--) await new Promise(process.nextTick)
  for (let jobs = random.between(0, 2); jobs > 0; jobs--) await undefined
}

/** Writes pieces of all sizes until it is refused too often or destroyed; counts what was confirmed. */
function writeAll(writer: UringWriteStream, content: Buffer, random: Seeded): { confirmed: number } {
  const seen = { confirmed: 0 }
  let at = 0
  const more = (): void => {
    while (at < content.length && !writer.destroyed) {
      const size = random.pick([1, 30, 700, 16_384, 20_000, 90_000])
      const piece = content.subarray(at, at += size)
      const end = at
      const goesOn = writer.write(piece, error => { if (error == null) seen.confirmed = Math.min(end, content.length) })
      if (!goesOn) return
    }
  }
  writer.on('drain', more)
  more()
  return seen
}

ringTest(`a writer destroyed at any of ${moments} moments leaves a prefix of what was written`, async t => {
  const path = join(t.testdir(), 'target')
  const random = seededFor(t)
  const content = patterned(1_000_000)
  const sizes = new Set<number>()
  for (let round = 0; round < moments; round++) {
    const writer = createUringWriteStream(path, { chunkSize: 20_000, writeBehind: random.pick([1, 4, 16]) })
    const closed = closing(writer)
    const seen = writeAll(writer, content, random)
    await someMoment(random, writer)
    writer.destroy()
    await closed
    const left = readFileSync(path, { flag: 'a+' })
    sizes.add(left.length)
    const which = `round ${round}: ${left.length} bytes are left`
    if (!left.equals(content.subarray(0, left.length))) t.fail(`${which}, which are not what was written`)
    if (writer.bytesWritten > left.length) t.fail(`${which}, ${writer.bytesWritten} were reported`)
    if (seen.confirmed > left.length) t.fail(`${which}, callbacks confirmed ${seen.confirmed}`)
    rmSync(path)
  }
  t.ok(sizes.size > 10, `it ended in ${sizes.size} different lengths, up to ${Math.max(...sizes)}`)
})

ringTest(`a pipe whose reader and writer are destroyed at any of ${moments} moments leaves a prefix of the source`, async t => {
  const directory = t.testdir()
  const [source, path] = [makeFile(join(directory, 'source'), 1_000_000), join(directory, 'target')]
  const random = seededFor(t)
  const sizes = new Set<number>()
  for (let round = 0; round < moments; round++) {
    const reader = createUringReadStream(source.path, { chunkSize: 20_000, buffers: random.pick(['owned', 'leased']) })
    const writer = createUringWriteStream(path, { writeBehind: random.pick([1, 4, 16]) })
    const closed = [closing(reader), closing(writer)]
    reader.pipe(writer)
    await someMoment(random, writer)
    const [first, second] = random.chance() ? [reader, writer] : [writer, reader]
    first.destroy()
    if (random.chance()) await turns(1)
    second.destroy()
    await Promise.all(closed)
    const left = readFileSync(path, { flag: 'a+' })
    sizes.add(left.length)
    const which = `round ${round}: ${left.length} bytes are left`
    if (!left.equals(source.content.subarray(0, left.length))) t.fail(`${which}, which are not the source's first`)
    if (writer.bytesWritten > left.length) t.fail(`${which}, ${writer.bytesWritten} were reported`)
    rmSync(path)
  }
  t.ok(sizes.size > 3, `it ended in ${sizes.size} different lengths, up to ${Math.max(...sizes)}`)
})
