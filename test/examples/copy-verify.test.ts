/** uring-copy --verify: what is compared is what is on the disk. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { verify } from '../../examples/copy/verify.js'
import { createUringReadStream } from '../../lib/index.js'
import { copy } from '../helpers/copy-tool.js'
import { makeFile } from '../helpers/files.js'
import { withImage, withMemory } from '../helpers/image.js'
import { notDirect, ringTest } from '../helpers/ring-state.js'
import { patterned } from '../helpers/seeded.js'
import { closing } from '../helpers/stream-events.js'

const never = new AbortController().signal
const MiB = 1024 ** 2

/** Whether files there are read past the page cache. */
async function isDirect(path: string): Promise<boolean> {
  const stream = createUringReadStream(path, { direct: 'prefer' })
  const closed = closing(stream.resume())
  let direct = false
  stream.once('ready', () => { direct = stream.direct })
  await closed
  return direct
}

ringTest('a disk that has other bytes than were written is found out, though the page cache has the right ones', async t => {
  const source = makeFile(join(t.testdir(), 'source'), MiB + 5)
  await withImage(t, ['mkfs.ext4', '-q', '-F'], 32, async ({ folder, path }) => {
    const target = join(folder, 'target')
    t.equal((await copy(['--verify', '-q', source.path, target])).code, 0)
    if (!await isDirect(target)) return void t.pass('reading the disk', { skip: 'no direct IO in this image' })
    execFileSync('sync', [path])
    const place = readFileSync(path).indexOf(source.content.subarray(8192, 12288))
    t.ok(place > 0, 'a block of the file is in the image')
    const image = openSync(path, 'r+')
    writeSync(image, Buffer.alloc(4096), 0, 4096, place)
    closeSync(image)
    t.ok(readFileSync(target).equals(source.content), 'the page cache')
    await t.rejects(verify(source.path, target, never), { message: `'${target}' differs from '${source.path}'` })
  })
}, notDirect)

ringTest('what differs is told, wherever it is', async t => {
  const directory = t.testdir()
  const source = makeFile(join(directory, 'source'), MiB + 5)
  const target = join(directory, 'target')
  for (const at of [0, 300_000, source.content.length - 1]) {
    writeFileSync(target, source.content)
    await verify(source.path, target, never)
    const changed = Buffer.from(source.content)
    changed[at] ^= 1
    writeFileSync(target, changed)
    await t.rejects(verify(source.path, target, never), { message: /differs/ }, `byte ${at}`)
  }
})

t.test('without direct IO it is read through the page cache: a tmpfs, a ramfs', async t => {
  const [content, other] = [patterned(MiB + 5), patterned(MiB + 5, 3)]
  const check = async (folder: string): Promise<void> => {
    const [one, same, wrong] = ['one', 'same', 'wrong'].map(name => join(folder, name))
    for (const [path, bytes] of [[one, content], [same, content], [wrong, other]] as const) writeFileSync(path, bytes)
    await verify(one, same, never)
    await t.rejects(verify(one, wrong, never), { message: /differs/ })
    t.equal((await copy(['--verify', '-q', one, join(folder, 'copied')])).code, 0)
  }
  await withMemory(t, 'tmpfs', check)
  await withMemory(t, 'ramfs', async folder => {
    await check(folder)
    t.equal(await isDirect(join(folder, 'one')), false)
  })
})
