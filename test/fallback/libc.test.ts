// Which prebuilt binary is taken: by the C library of the program that runs, whatever the distribution's name.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { libcOf } from '../../lib/native.js'
import { notLinux } from '../helpers/descriptors.js'
import { packageRoot } from '../helpers/package-root.js'

/** What a program for a dynamic loader begins with. */
const programFor = (loader: string): string => `\x7fELF${'\0'.repeat(700)}${loader}\0`

t.test('the loader that a program names tells its C library', async t => {
  const directory = t.testdir({
    alpine: programFor('/lib/ld-musl-x86_64.so.1'),
    void: programFor('/usr/lib/ld-musl-aarch64.so.1'),
    debian: programFor('/lib64/ld-linux-x86-64.so.2'),
    nix: programFor('/nix/store/abc-glibc-2.40/lib/ld-linux-aarch64.so.1')
  })
  const found = ['alpine', 'void', 'debian', 'nix'].map(name => libcOf(join(directory, name)))
  t.strictSame(found, ['musl', 'musl', 'glibc', 'glibc'])
})

t.test('it is as process.report says of this program, also where no loader is named', { skip: notLinux }, async t => {
  const { header } = process.report!.getReport() as { header: { glibcVersionRuntime?: string } }
  const expected = header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
  t.equal(libcOf(process.execPath), expected)
  t.equal(libcOf(join(t.testdir({ static: '\x7fELF' }), 'static')), expected)
  t.equal(libcOf('node'), expected) // what execPath is without /proc: nothing that can be read
})

t.test('what musl-gcc makes is of musl', { skip: spawnSync('musl-gcc', ['-v']).error !== undefined && 'no musl-gcc (package musl-tools)' }, async t => {
  const directory = t.testdir({ 'main.c': 'int main(void) { return 0; }\n' })
  const program = join(directory, 'main')
  t.equal(spawnSync('musl-gcc', [join(directory, 'main.c'), '-o', program]).status, 0)
  t.equal(libcOf(program), 'musl')
})

/** A package with two prebuilt binaries that are none; gives what its loader says of the one it takes. */
function takenBy(t: Test, env: NodeJS.ProcessEnv, loader?: string): string {
  const copy = t.testdir({ prebuilds: {}, program: programFor(loader ?? '') })
  cpSync(join(packageRoot, 'dist/lib'), join(copy, 'dist/lib'), { recursive: true })
  cpSync(join(packageRoot, 'binding.gyp'), join(copy, 'binding.gyp'))
  const folder = join(copy, `prebuilds/linux-${process.arch}`)
  mkdirSync(folder)
  for (const libc of ['glibc', 'musl']) writeFileSync(join(folder, `uring-streams.${libc}.node`), 'no ELF file')
  writeFileSync(join(copy, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(copy, 'load.js'), 'import { loadNative } from "./dist/lib/native.js"; console.log(loadNative().message)')
  const disguise = loader === undefined
    ? []
    : ['--import', `data:text/javascript,process.execPath=${JSON.stringify(join(copy, 'program'))}`]
  const { NODE_OPTIONS: _, ...others } = process.env
  return spawnSync(process.execPath, [...disguise, join(copy, 'load.js')], { env: { ...others, ...env }, encoding: 'utf8' }).stdout
}

t.test('the binary for the C library is loaded, unless LIBC names another', { skip: notLinux }, async t => {
  t.match(takenBy(t, { LIBC: '' }), new RegExp(`linux-${process.arch}/uring-streams.${libcOf(process.execPath)}.node`))
  t.match(takenBy(t, { LIBC: 'musl' }), /uring-streams.musl.node/)
  t.match(takenBy(t, { LIBC: 'glibc' }), /uring-streams.glibc.node/)
  t.match(takenBy(t, { LIBC: '' }, '/lib/ld-musl-x86_64.so.1'), /uring-streams.musl.node/)
})
