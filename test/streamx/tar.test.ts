import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pipelinePromise } from 'streamx'
import tar from 'tar-stream'
import { createUringReadStream, createUringWriteStream } from '../../lib/streamx.js'
import { makeFiles } from '../helpers/files.js'
import { ringTest } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'
import { turns } from '../helpers/stream-events.js'

for (const buffers of ['owned', 'leased'] as const) {
  ringTest(`files go into a tar archive and come out of it as they were (${buffers})`, async t => {
    const directory = t.testdir()
    const files = makeFiles(directory, [0, 1, 512, 70_000, 3_000_001])
    const archive = join(directory, 'archive.tar')
    const pack = tar.pack()
    const packed = pipelinePromise(pack as any, createUringWriteStream(archive))
    for (const { path, content } of files) {
      const entry = pack.entry({ name: basename(path), size: content.length })
      if (content.length === 0) entry.end(null)
      else await pipelinePromise(createUringReadStream(path, { buffers, chunkSize: 50_000 }), entry as any)
    }
    pack.finalize()
    await packed

    const out = new Map<string, string>()
    const extract = tar.extract()
    extract.on('entry', (header, entry, next) => {
      const target = join(directory, `${header.name}.out`)
      pipelinePromise(entry as any, createUringWriteStream(target)).then(() => {
        out.set(header.name, sha256(readFileSync(target)))
        next()
      }, next)
    })
    await pipelinePromise(createUringReadStream(archive, { buffers }), extract as any)
    t.same(Object.fromEntries(out), Object.fromEntries(files.map(({ path, sha256 }) => [basename(path), sha256])))
    await turns(3)
  })
}
