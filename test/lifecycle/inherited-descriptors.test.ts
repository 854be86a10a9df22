import { execFile, execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createUringReadStream, createUringWriteStream, Ring } from '../../lib/index.js'
import { isOpenOn, notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { ringTest, withRing } from '../helpers/ring-state.js'
import { closing, next } from '../helpers/stream-events.js'

/** What the lines of `ls -l` say the descriptors point at, without those that node itself gives to a child. */
function targetsIn(listing: string): string[] {
  return listing.split('\n').map(line => line.split(' -> ')[1]).filter(Boolean)
    .filter(target => !/^(socket:|pipe:|\/dev\/null$|\/proc\/)/.test(target))
}

const list = ['-l', '/proc/self/fd']

ringTest('a child process inherits no ring and no file of a stream', async t => {
  const directory = t.testdir({ target: '' })
  const source = makeFile(join(directory, 'source'), 500_000)
  await withRing(t, { entries: 4 }, async ring => {
    const reader = createUringReadStream(source.path, { ring, buffers: 'leased', chunkSize: 4096 })
    const writer = createUringWriteStream(join(directory, 'target'), { ring })
    await Promise.all([next(reader, 'ready'), next(writer, 'ready')])
    reader.once('data', () => reader.pause())
    await next(reader, 'data')
    t.ok(isOpenOn(reader.fd!, source.path) && isOpenOn(writer.fd!, join(directory, 'target')), 'both files are open here')
    t.ok(ring.stats().buffersInUse > 0 || ring.stats().engine === 'threads', 'so is an arena')
    t.same(targetsIn(execFileSync('ls', list, { encoding: 'utf8' })), [], 'and the child has none of it')
    const closed = [closing(reader), closing(writer)]
    reader.destroy()
    writer.destroy()
    await Promise.all(closed)
  })
}, notLinux)

ringTest('children started while files are opened and closed inherit none of them', async t => {
  const source = makeFile(join(t.testdir(), 'source'), 10_000)
  const children: Promise<{ stdout: string }>[] = []
  for (let i = 0; i < 10; i++) {
    const streams = Array.from({ length: 10 }, () => createUringReadStream(source.path).resume())
    if (i % 2 === 0) await next(streams[0], 'open')
    children.push(promisify(execFile)('ls', list, { encoding: 'utf8' }))
    await Promise.all(streams.map(closing))
  }
  const listings = await Promise.all(children)
  t.same(listings.flatMap(({ stdout }) => targetsIn(stdout)), [])
}, notLinux)

ringTest('a descriptor that this test would have to see is seen', async t => {
  // The standard streams of a child are inherited by design: here, a file in place of stderr.
  const source = makeFile(join(t.testdir(), 'source'), 10)
  const fd = openSync(source.path, 'r')
  const listing = execFileSync('ls', list, { encoding: 'utf8', stdio: ['ignore', 'pipe', fd] })
  closeSync(fd)
  t.same(targetsIn(listing), [source.path])
  t.equal(Ring.shared().stats().inFlight, 0)
}, notLinux)
