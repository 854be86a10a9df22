// Packages whose addon is missing, broken or for another platform.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { probe } from '../../lib/index.js'
import type { NativeAddon } from '../../lib/native.js'
import { libcOf, loadNative } from '../../lib/native.js'
import { notLinux } from '../helpers/descriptors.js'
import { makeFile } from '../helpers/files.js'
import { packageRoot } from '../helpers/package-root.js'
import { notUring } from '../helpers/ring-state.js'
import { sha256 } from '../helpers/seeded.js'

interface Report { engine: string, digests: Record<string, string>, direct: [preferred: boolean, only: boolean | string], probe: { available: boolean, code: string, reason: string } }

/** A copy of the package without an addon; runs the fixture in it. */
function runCopy(t: Test, addon: Buffer | null, node: string[] = []): { report: Report, sha256: string } {
  const directory = t.testdir()
  const copy = join(directory, 'package')
  for (const part of ['dist', 'package.json', 'binding.gyp']) {
    cpSync(join(packageRoot, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(packageRoot, 'node_modules'), join(copy, 'node_modules'))
  if (addon !== null) {
    mkdirSync(join(copy, 'build/Release'), { recursive: true })
    writeFileSync(join(copy, 'build/Release/uring_streams.node'), addon)
  }
  const source = makeFile(join(directory, 'source'), 1_234_567)
  const fixture = join(copy, 'dist/test/fallback/fixtures/everything.js')
  const env = { ...process.env, URING_STREAMS_ENGINE: 'auto' }
  delete (env as NodeJS.ProcessEnv).NODE_OPTIONS
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, fixture, directory], { env, encoding: 'utf8' })
  t.same({ status, stderr }, { status: 0, stderr: '' }, 'the child ends with code 0 and in silence')
  const tool = join(copy, 'dist/examples/copy.js')
  const copied = spawnSync(process.execPath, [...node, tool, '-q', source.path, join(directory, 'copied')], { env, encoding: 'utf8' })
  t.same([copied.status, copied.stderr], [0, ''], 'uring-copy ends well')
  t.equal(sha256(readFileSync(join(directory, 'copied'))), source.sha256)
  const doctor = spawnSync(process.execPath, [...node, tool, '--doctor'], { env, encoding: 'utf8' })
  t.match(doctor.stdout, /^engine +threads: io_uring is refused/)
  return { report: JSON.parse(stdout || 'null') as Report, sha256: source.sha256 }
}

function onThreads(t: Test, { report, sha256 }: ReturnType<typeof runCopy>, reason: RegExp, code = 'ERR_DLOPEN_FAILED'): void {
  t.equal(report.engine, 'threads')
  t.same(Object.values(report.digests), Array(7).fill(sha256))
  t.match(report.direct, [false, /^ERR_DIRECT_UNAVAILABLE: .*(without the addon memory cannot be aligned|has no O_DIRECT)/])
  t.match(report.probe, { available: false, code, reason })
}

t.test('without an addon everything runs on threads', async t =>
  onThreads(t, runCopy(t, null), /there is no prebuilt binary for linux-\w+ with \w+, and none was built[^]*; build the addon by npm rebuild/))

t.test('with an addon that is no library everything runs on threads', async t => {
  onThreads(t, runCopy(t, Buffer.from('no ELF file')), /invalid ELF header|file too short|not a mach-o|not a valid Win32/)
})

/** The addon that is loaded here. */
function addonHere(): Buffer {
  const built = join(packageRoot, 'build/Release/uring_streams.node')
  const prebuilt = join(packageRoot, `prebuilds/linux-${process.arch}/uring-streams.${libcOf(process.execPath)}.node`)
  return readFileSync(existsSync(built) ? built : prebuilt)
}

t.test('where Node.js was started without addons everything runs on threads, and probe() says what helps', { skip: notLinux }, async t =>
  onThreads(t, runCopy(t, addonHere(), ['--no-addons']), /start it without --no-addons/, 'ERR_DLOPEN_DISABLED'))

for (const runtime of ['bun', 'deno']) {
  t.test(`on a runtime that calls itself ${runtime} the addon is not touched`, async t => {
    const addon = addonHere()
    const disguise = `data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,${runtime}:'1.0.0'}})`
    onThreads(t, runCopy(t, addon, ['--import', disguise]), new RegExp(`^the addon needs Node's event loop \\(libuv\\), which ${runtime} has not$`))
  })
}

t.test('of a bundle, which has left the package\'s folder, probe() says what helps', { skip: notLinux }, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'uring-streams-bundled-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  cpSync(join(packageRoot, 'dist/lib'), join(directory, 'lib'), { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(directory, 'main.js'), 'import { probe } from "./lib/probe.js"; console.log(JSON.stringify(probe()))')
  const { NODE_OPTIONS: _, ...env } = process.env
  const { stdout } = spawnSync(process.execPath, [join(directory, 'main.js')], { env, encoding: 'utf8' })
  t.match(JSON.parse(stdout), { available: false, code: 'MODULE_NOT_FOUND', reason: /leave uring-streams out of the bundle/ })
})

t.test('where there is no memory for an arena, probe() says that no buffers are registered', { skip: notUring }, async t => {
  const addon = loadNative() as NativeAddon
  const { Engine } = addon
  addon.Engine = class extends Engine {
    override acquireBuffer(): number {
      return -1
    }
  }
  t.teardown(() => { addon.Engine = Engine })
  t.match(probe(), { available: true, features: { registeredBuffers: false } })
})

for (const platform of ['darwin', 'win32', 'freebsd']) {
  t.test(`on a platform that calls itself ${platform} everything runs on threads`, async t => {
    const disguise = `data:text/javascript,Object.defineProperty(process,'platform',{value:'${platform}'})`
    onThreads(t, runCopy(t, null, ['--import', disguise]), new RegExp(`^io_uring needs Linux, this is ${platform}$`))
  })
}
