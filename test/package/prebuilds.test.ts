// The binaries that are shipped: made of the sources beside them, small, and at home on any Linux that Node.js runs on.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import type { Test } from 'tap'
import { probe } from '../../lib/index.js'
import { loadNative } from '../../lib/native.js'
import { packageRoot } from '../helpers/package-root.js'
import { definedBy, inspectBinary } from './binary.js'

const { stamp } = await import(pathToFileURL(join(packageRoot, 'binding/stamp.js')).href) as { stamp: () => string }
const advice = 'it was made of other sources than those in binding/: run npm run prebuild'

interface Target { arch: string, machine: RegExp, libc: string, triple: string, path: string }

const targets: Target[] = [{ arch: 'x64', machine: /X86-64/, cpu: 'x86_64' }, { arch: 'arm64', machine: /AArch64/, cpu: 'aarch64' }]
  .flatMap(({ arch, machine, cpu }) => ['glibc', 'musl'].map(libc => {
    const path = join(packageRoot, `prebuilds/linux-${arch}/uring-streams.${libc}.node`)
    return { arch, machine, libc, triple: `${cpu}-linux-${libc === 'musl' ? 'musl' : 'gnu'}`, path }
  }))

function runs(command: string): boolean {
  return spawnSync(command, ['--version']).error === undefined
}

t.test('there is one for each processor and C library, and nothing else', async t => {
  const found = readdirSync(join(packageRoot, 'prebuilds'), { recursive: true, withFileTypes: true })
    .filter(each => each.isFile()).map(each => join(each.parentPath, each.name))
  t.same(found.sort(), targets.map(each => each.path).sort(), 'run npm run prebuild')
})

t.test('the addon that these tests run on is made of the sources', { skip: process.platform !== 'linux' && 'Linux only' }, async t => {
  const addon = loadNative()
  t.equal(addon instanceof Error ? addon.message : addon.stamp, stamp(), 'run npm run compile')
})

for (const target of targets) {
  const { machine, libc, path } = target
  t.test(relative(packageRoot, path), { skip: !existsSync(path) && 'not there' }, async t => {
    t.ok(readFileSync(path).includes(stamp()), advice)
    t.ok(statSync(path).size <= 300 * 1024, `${statSync(path).size} bytes are at most 300 KiB`)
    if (!runs('readelf')) return void t.pass('what it needs', { skip: 'no readelf (package binutils)' })

    const binary = inspectBinary(path)
    t.match(binary.machine, machine, 'for its processor')
    t.notOk(binary.symbols, 'stripped')
    t.strictSame(binary.libraries, libc === 'musl' ? ['libc.so'] : ['libc.so.6'], 'it needs no library but libc')
    const needed = binary.needed.filter(name => !/^(napi|uv)_/.test(name))
    if (libc === 'glibc') ofOldGlibc(t, needed)
    else ofMusl(t, needed, `/lib/${target.triple}/libc.so`)
    runIt(t, target, binary.needed)
  })
}

function ofOldGlibc(t: Test, needed: string[]): void {
  const newer = needed.filter(name => {
    const [, major, minor] = /@GLIBC_(\d+)\.(\d+)/.exec(name)?.map(Number) ?? []
    return !(major === 2 && minor <= 28)
  })
  t.strictSame(newer, [], 'every symbol is of glibc 2.28 or older, as Node.js 20 needs itself')
}

function ofMusl(t: Test, needed: string[], library: string): void {
  t.strictSame(needed.filter(name => name.includes('@')), [], 'no symbol has a version of glibc')
  if (!existsSync(library)) return void t.pass('musl has every symbol', { skip: `no ${library} (package musl)` })
  const defined = definedBy(library)
  t.strictSame(needed.filter(name => !defined.has(name)), [], 'musl has every symbol')
}

/** How to compile and to run a program for a target here, or why that cannot be done. */
function toolsOf({ arch, libc, triple }: Target): { compiler: string[], runner: string[] } | string {
  const gcc = `${triple.replace('musl', 'gnu')}-gcc`
  const specs = `/usr/lib/${triple}/musl-gcc.specs`
  if (!runs(gcc)) return `no ${gcc}`
  if (libc === 'musl' && !existsSync(specs)) return `no ${specs} (package musl-dev)`
  const compiler = [gcc, ...libc === 'musl' ? ['-specs', specs] : []]
  if (arch === process.arch) return { compiler, runner: [] }
  return runs('qemu-aarch64-static') && arch === 'arm64'
    ? { compiler, runner: ['qemu-aarch64-static', '-L', libc === 'musl' ? '/' : '/usr/aarch64-linux-gnu'] }
    : `nothing runs ${arch} here (package qemu-user-static)`
}

/** Loads it into a program of its C library that is no Node.js, and has it read a byte by io_uring. */
function runIt(t: Test, target: Target, needed: string[]): void {
  const tools = toolsOf(target)
  const name = 'a program of its C library loads it, and it reads by io_uring'
  if (typeof tools === 'string') return void t.pass(name, { skip: tools })
  const source = join(packageRoot, 'test/package/fixtures/host.c')
  const given = [...readFileSync(source, 'utf8').matchAll(/^int (napi_\w+)/gm)].map(match => match[1])
  const stubs = needed.filter(each => /^(napi|uv)_/.test(each) && !given.includes(each)).map(each => `int ${each}(void) { return 0; }\n`)
  const directory = t.testdir({ 'stubs.c': stubs.join('') })
  const program = join(directory, 'host')
  execFileSync(tools.compiler[0], [...tools.compiler.slice(1), '-rdynamic', '-Wall', '-Wextra', '-Werror', source,
    join(directory, 'stubs.c'), '-ldl', '-o', program])
  const [command, ...args] = [...tools.runner, program, target.path]
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8' })
  t.same({ status, stderr }, { status: 0, stderr: '' }, 'the program ends with code 0')
  const { available } = probe()
  t.match(stdout, available && tools.runner.length === 0 ? /^8 0\n$/ : /^8 (0|-\d+)\n$/, `${name}: ${stdout}`)
}
