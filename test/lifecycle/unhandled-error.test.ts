import { join } from 'node:path'
import t from 'tap'
import { runChild } from '../helpers/child.js'
import type { Ended } from '../helpers/child.js'
import { notLinux } from '../helpers/descriptors.js'

const fixture = new URL('./fixtures/unhandled-error.js', import.meta.url)

/** What a crash tells from the error on, but for the class of the stream and the places in the code. */
function plain({ stderr, ...rest }: Ended): object {
  const told = stderr.slice(stderr.indexOf('\nError: ')).split('\n').filter(line => !/^ {4}at /.test(line)).join('\n')
  return { ...rest, stderr: told.replace(/on (Uring)?(Read|Write)Stream instance/, 'on STREAM instance') }
}

for (const [what, direction, name, code] of [
  ['a missing file', 'read', 'missing', 'ENOENT'],
  ['a directory as source', 'read', '.', 'EISDIR'],
  ['a directory as target', 'write', '.', 'EISDIR'],
  ['a missing directory', 'write', 'missing/target', 'ENOENT'],
  ['a full device', 'write', '/dev/full', 'ENOSPC']
]) {
  const skip = name.startsWith('/dev') && notLinux
  t.test(`an error without a listener ends the process as with node:fs: ${what}`, { skip }, async t => {
    const path = name.startsWith('/') ? name : join(t.testdir(), name)
    const [ours, theirs] = await Promise.all(['uring', 'fs'].map(library => runChild(t, fixture, [library, direction, path])))
    t.equal(ours.code, 1)
    t.equal(ours.stdout, 'exits with 1\n')
    t.match(ours.stderr, `\nError: ${code}: `)
    t.same(plain(ours), plain(theirs))
  })
}
