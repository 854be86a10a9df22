import { read as readAt, readFileSync, writeFileSync } from 'node:fs'
import { open as openHandle } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import type { UringFile } from '../../lib/index.js'
import { open } from '../../lib/index.js'
import { notUring, ringTest } from '../helpers/ring-state.js'
import { Seeded, seededFor } from '../helpers/seeded.js'

/** One call, made on either; `any` since some of it is what types forbid. */
interface Call { name: string, run(file: any): Promise<any> }

/** Of the others FileHandle takes some for null in silence, bigints too; here they count, or are refused. */
const positions = [null, undefined, 0, 1, 4095, 4096, 5000, 9999, 10_000, 12_000]

/** A buffer for one call: both files get an equal one of their own. */
function memoryOf(random: Seeded): () => Uint8Array {
  const [length, seed] = [random.pick([0, 1, 7, 4096, 5000, 20_000]), random.between(1, 1e9)]
  return () => new Seeded(seed).bytes(length)
}

/** Offset and length in it, sometimes bad. */
function rangeOf(random: Seeded, length: number): [offset: unknown, length: unknown] {
  const offset = random.pick([0, 0, undefined, null, 1, length, random.between(0, length), length + 1, -1, 1.5, 'x'])
  const rest = length - (typeof offset === 'number' ? offset : 0)
  return [offset, random.pick([undefined, undefined, null, 0, rest, rest, Math.floor(rest / 2), rest + 1, -1])] // FileHandle ends the process at a length of 2.5
}

const kinds: Record<string, (random: Seeded) => Call> = {
  read(random) {
    const make = memoryOf(random)
    const [offset, length] = rangeOf(random, make().length)
    const position = random.pick([...positions, -1])
    const form = random.pick(['list', 'object', 'buffer and object'])
    return {
      name: `read ${form} of ${make().length} (${String(offset)}, ${String(length)}, ${String(position)})`,
      run: file => {
        const buffer = make()
        if (form === 'list') return file.read(buffer, offset, length, position)
        const options = { offset: offset ?? undefined, length: length ?? undefined, position }
        return form === 'object' ? file.read({ buffer, ...options }) : file.read(buffer, options)
      }
    }
  },
  write(random) {
    const make = memoryOf(random)
    const [offset, length] = rangeOf(random, make().length)
    const position = random.pick(positions)
    const form = random.chance() && offset !== null // there FileHandle forgets the length and the position
    return {
      name: `write ${form ? 'list' : 'object'} of ${make().length} (${String(offset)}, ${String(length)}, ${String(position)})`,
      run: file => form ? file.write(make(), offset, length, position) : file.write(make(), { offset: offset ?? undefined, length: length ?? undefined, position })
    }
  },
  text(random) {
    const [text, position, encoding] = [random.pick(['', 'x', 'grüße', '616263']), random.pick(positions), random.pick([undefined, 'utf8', 'hex', 'latin1'])]
    return { name: `write '${text}' at ${String(position)} in ${encoding}`, run: file => file.write(text, position, encoding) }
  },
  readv(random) {
    const makes = Array.from({ length: random.between(1, 5) }, () => memoryOf(random))
    if (notUring) makes.push(() => Buffer.alloc(1)) // fs.read of nothing does not ask the kernel, as FileHandle.readv does
    const position = random.pick(positions)
    return { name: `readv ${makes.map(make => make().length)} at ${String(position)}`, run: file => file.readv(makes.map(make => make()), position) }
  },
  writev(random) {
    const makes = Array.from({ length: random.between(0, 5) }, () => memoryOf(random))
    const position = random.pick(positions)
    return { name: `writev ${makes.map(make => make().length)} at ${String(position)}`, run: file => file.writev(makes.map(make => make()), position) }
  },
  truncate(random) {
    const length = random.pick([undefined, 0, 1, 5000, 15_000, -5, 1.5, 'x'])
    return { name: `truncate ${String(length)}`, run: file => file.truncate(length) }
  },
  stat: () => ({ name: 'stat', run: async file => (await file.stat()).size }),
  sync: random => random.chance() ? { name: 'sync', run: file => file.sync() } : { name: 'datasync', run: file => file.datasync() },
  wrong(random) {
    const memory = random.pick([5, {}, 'text', true])
    const method = random.pick(['readv', 'writev'])
    return { name: `${method} of ${JSON.stringify(memory)}`, run: file => file[method](memory) }
  }
}

/** What a call came to, without what differs by nature. */
async function outcome(call: Call, file: FileHandle | UringFile): Promise<unknown> {
  try {
    return { result: await call.run(file) }
  } catch (error) {
    const { code, name, errno } = error as NodeJS.ErrnoException
    return { code, name, errno }
  }
}

/** Of a failed call its code; the callback form has other results. */
function codeOf(outcome: any): unknown {
  return outcome.code ?? outcome.result.bytesRead
}

/** The same calls on both; false at the first difference. */
async function compare(t: Test, random: Seeded, count: number, flags: string): Promise<boolean> {
  const directory = t.testdir()
  const [ours, theirs] = [join(directory, 'ours'), join(directory, 'theirs')]
  for (const path of [ours, theirs]) writeFileSync(path, new Seeded(5).bytes(10_000))
  const [file, handle] = [await open(ours, flags), await openHandle(theirs, flags)]
  const history: string[] = []
  let same = true
  for (let i = 0; same && i < count; i++) {
    const call = kinds[random.pick(Object.keys(kinds))](random)
    history.push(call.name)
    const [here, there] = [await outcome(call, file), await outcome(call, handle)]
    same = t.same(here, there, `${flags}: ${history.slice(-5).join('; ')}`) as boolean &&
      (readFileSync(ours).equals(readFileSync(theirs)) || t.fail(`contents differ after ${history.slice(-5).join('; ')}`) as boolean)
  }
  await file.close()
  await handle.close()
  return same
}

for (const flags of ['r+', 'w+', 'r', 'w', 'a', 'a+']) {
  ringTest(`random calls give on a file opened with ${flags} what they give on a FileHandle`, async t => {
    const random = seededFor(t)
    for (let round = 0; round < 5; round++) {
      if (!await compare(t, random, 100, flags)) break
    }
  })
}

ringTest('offsets beyond 2^53 end as they do with fs.read', async t => {
  const directory = t.testdir()
  const [ours, theirs] = [join(directory, 'ours'), join(directory, 'theirs')]
  const [file, handle] = [await open(ours, 'w+'), await openHandle(theirs, 'w+')]
  const bytes = (): Buffer => Buffer.alloc(10)
  const codes = async (position: bigint) => {
    const there = { name: 'read', run: ({ fd }: FileHandle) => promisify(readAt)(fd, bytes(), 0, 10, position as unknown as number) }
    const here = { name: 'read', run: (file: UringFile) => file.read(bytes(), 0, 10, position) }
    return [codeOf(await outcome(here, file)), codeOf(await outcome(there, handle))]
  }
  for (const position of [2n ** 40n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 100n, 2n ** 63n]) {
    const [here, there] = await codes(position)
    t.same(here, there, `read at ${position}`)
  }
  // The end is beyond what the kernel counts to, which it says itself, or on threads node:fs where it looks (22.23, 26).
  const [here, there] = await codes(2n ** 63n - 1n)
  t.equal(here, notUring ? there : 'EINVAL')
  await t.rejects(file.write(bytes(), 0, 10, 2n ** 62n), { code: 'EFBIG' })
  await t.rejects(file.write(bytes(), 0, 10, 2 ** 53), { code: 'ERR_OUT_OF_RANGE' })
  // A sparse file shows that all of a position's bits arrive.
  for (const position of [2 ** 31, 2 ** 32 + 5, 2 ** 40 + 3]) {
    t.equal((await file.write('here', position)).bytesWritten, 4)
    t.equal((await handle.read(bytes(), 0, 4, position)).bytesRead, 0)
    const other = await openHandle(ours)
    t.equal((await other.read(bytes(), 0, 10, position)).buffer.toString('utf8', 0, 4), 'here')
    await other.close()
    t.equal((await file.read(bytes(), 0, 4, BigInt(position))).buffer.toString('utf8', 0, 4), 'here')
  }
  await file.close()
  await handle.close()
})
