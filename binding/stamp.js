// The stamp of the addon: a line in the binary that tells from which sources and by which flags it was built, so that
// one that is older than them is known without being loaded.
//   node binding/stamp.js FILE      writes the header that puts it into the binary
//   node binding/stamp.js --files   lists what it depends on
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)
const read = file => readFileSync(new URL(file, root))

/** The sources, and what says how they are compiled. */
export const files = readdirSync(new URL('binding', root))
  .filter(name => /\.(cc|h|js)$/.test(name)).map(name => `binding/${name}`)
  .concat('binding.gyp').sort()

export function stamp() {
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${file} ${read(file).length}\n`).update(read(file))
  hash.update(`node-addon-api ${JSON.parse(read('package.json')).devDependencies['node-addon-api']}\n`)
  return `uring-streams, built from ${hash.digest('hex')}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , out] = process.argv
  if (out === '--files') console.log(files.join('\n'))
  else writeFileSync(out, `#define URING_STAMP "${stamp()}"\n`)
}
