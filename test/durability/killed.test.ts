import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { notLinux } from '../helpers/descriptors.js'
import { patience } from '../helpers/patience.js'
import { notUring } from '../helpers/ring-state.js'
import type { Seeded } from '../helpers/seeded.js'
import { seededFor } from '../helpers/seeded.js'
import { isVersion, versionOf } from './versions.js'

const writer = fileURLToPath(new URL('fixtures/atomic-writer.js', import.meta.url))
/** So many children at once. */
const lanes = 4
/** Fewer where each takes seconds to start, and on threads, which replace files by the same steps. */
const kills = lanes * Math.ceil((notUring ? 10 : 50) / patience)

interface Found { whole: number, replaced: number, midway: number }

/** Kills writers of a file of its own, one after the other. */
async function killWriters(t: Test, directory: string, random: Seeded, found: Found): Promise<void> {
  const path = join(directory, 'target')
  for (let killed = 0; killed < kills / lanes; killed++) {
    writeFileSync(path, versionOf(0))
    const child = spawn(process.execPath, [writer, path, random.chance() ? 'direct' : 'buffered'], {
      stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' }
    })
    const closed = once(child, 'close')
    await once(child.stdout, 'data')
    if (random.chance()) await once(child.stdout, 'data') // the first version is there, which takes its time on a slow machine
    await setTimeout(random.between(0, 20 * patience)) // any point of the first versions
    child.kill('SIGKILL')
    await closed
    const content = readFileSync(path)
    if (isVersion(content)) found.whole++
    else t.fail(`${content.length} bytes, beginning with ${content.subarray(0, 8).toString('hex')}`)
    if (content.readUInt32LE(0) > 0) found.replaced++
    for (const name of readdirSync(directory).filter(each => each !== 'target')) {
      found.midway++
      rmSync(join(directory, name))
    }
  }
}

t.test(`a writer that is killed at any point, ${kills} times, leaves a whole file of the old or the new version`, {
  skip: notLinux, timeout: 600_000 * patience
}, async t => {
  const random = seededFor(t)
  const directory = t.testdir({ a: {}, b: {}, c: {}, d: {} })
  const found = { whole: 0, replaced: 0, midway: 0 }
  await Promise.all(['a', 'b', 'c', 'd'].map(name => killWriters(t, join(directory, name), random, found)))
  t.equal(found.whole, kills)
  t.ok(found.replaced > 0, `${found.replaced} had replaced the first version`)
  t.ok(found.midway > 0, `${found.midway} were killed in the middle of a version`)
})
