// The package as its users get it: packed, and installed into an empty project without network, compiler, python or make.
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { probe } from '../../lib/index.js'
import { content } from '../helpers/copy-tool.js'
import { packageRoot } from '../helpers/package-root.js'

t.setTimeout(900_000)

const require = createRequire(import.meta.url)
const fixtures = join(packageRoot, 'test/package/fixtures')
// Not below the package: nothing of its node_modules must be found from there.
const directory = mkdtempSync(join(tmpdir(), 'uring-streams-package-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const project = join(directory, 'project')
const inPackage = join(project, 'node_modules/uring-streams')
const { URING_STREAMS_ENGINE: asked = 'auto' } = process.env
const expectedEngine = asked !== 'auto' ? asked : probe().available ? 'uring' : 'threads'

/** The only programs there are: no compiler, no python, no make. */
const programs = join(directory, 'bin')
mkdirSync(programs)
symlinkSync(process.execPath, join(programs, 'node'))
for (const name of ['npm', 'npx', 'sh']) {
  symlinkSync(process.env.PATH!.split(':').map(each => join(each, name)).find(existsSync)!, join(programs, name))
}

/** The environment without what npm and tap say to their children. */
const env: NodeJS.ProcessEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|TAP|NODE_OPTIONS)/i.test(name))),
  PATH: programs,
  HOME: directory,
  npm_config_cache: join(directory, 'cache'),
  npm_config_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false'
}

interface Outcome { code: number, output: string }

async function run(cwd: string, command: string, ...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd, env })
    return { code: 0, output: stdout + stderr }
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code: number, stdout?: string, stderr?: string }
    return { code, output: stdout + stderr + String(error) }
  }
}

/** The folders of everything that is installed with the package. */
function dependencies(folder: string, found = new Set<string>()): Set<string> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { dependencies?: Record<string, string> }
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    const nested = join(folder, 'node_modules', name)
    const one = existsSync(nested) ? nested : join(packageRoot, 'node_modules', name)
    if (!found.has(one)) dependencies(one, found.add(one))
  }
  return found
}

/** Packs folders; gives the tarballs. */
async function pack(...folders: string[]): Promise<string[]> {
  const { code, output } = await run(packageRoot, 'npm', 'pack', '--ignore-scripts', '--silent', '--pack-destination', directory, ...folders)
  t.equal(code, 0, code === 0 ? `packed ${folders.length}` : output)
  return output.trim().split('\n').map(name => join(directory, name))
}

function bytesIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(each => each.isFile())
  return files.reduce((sum, each) => sum + statSync(join(each.parentPath, each.name)).size, 0)
}

const [tarball] = await pack('.')

t.test('installs without network, compiler, python and make', async t => {
  const others = await pack(...dependencies(packageRoot))
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true }')
  const { code, output } = await run(project, 'npm', 'install', tarball, ...others)
  t.equal(code, 0, code === 0 ? 'installed' : output)
  t.notOk(existsSync(join(inPackage, 'build')), 'nothing was compiled')
  t.ok(bytesIn(inPackage) <= 2 << 20, `${bytesIn(inPackage)} bytes are at most 2 MiB`)
  const shipped = readdirSync(inPackage, { recursive: true, encoding: 'utf8' })
  t.strictSame(shipped.filter(name => /(^|\/)test(\/|$)|\.map$/.test(name)), [], 'no tests, and no maps of sources that are not there')
})

const source = join(directory, 'source')
const bytes = content(1_234_567)
writeFileSync(source, bytes)

for (const fixture of ['use.mjs', 'use.cjs']) {
  t.test(`${fixture}: Node streams, Web streams and streamx`, async t => {
    cpSync(join(fixtures, fixture), join(project, fixture))
    const target = join(directory, fixture)
    const { code, output } = await run(project, 'node', '--no-warnings', fixture, source, target)
    t.same({ code, output }, { code: 0, output: `${expectedEngine}\n` }, 'on the engine that is to be had')
    for (const kind of ['node', 'web', 'streamx']) t.ok(readFileSync(`${target}.${kind}`).equals(bytes), kind)
  })
}

t.test('npx uring-copy', async t => {
  const { code, output } = await run(project, 'npx', '--no-install', 'uring-copy', '--quiet', source, join(directory, 'copied'))
  t.equal(code, 0, output)
  t.ok(readFileSync(join(directory, 'copied')).equals(bytes))
})

const dom = 'dom,dom.iterable,dom.asynciterable'
for (const [moduleResolution, module, file, lib] of [
  ['nodenext', 'nodenext', 'consumer.mts', 'es2023'], ['nodenext', 'nodenext', 'consumer.cts', 'es2023'],
  ['bundler', 'esnext', 'consumer.ts', 'es2023'], ['bundler', 'esnext', 'consumer.ts', `es2023,${dom}`]
]) {
  t.test(`TypeScript, ${moduleResolution}, ${file}, ${lib}`, async t => {
    cpSync(join(fixtures, 'consumer.ts'), join(project, file))
    for (const name of ['@types/node', 'undici-types']) {
      const link = join(project, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      if (!existsSync(link)) symlinkSync(join(packageRoot, 'node_modules', name), link)
    }
    const { code, output } = await run(project, process.execPath, require.resolve('typescript/bin/tsc'), '--noEmit', '--strict',
      '--exactOptionalPropertyTypes', '--target', 'es2022', '--lib', `${lib},esnext.disposable`, '--types', 'node', '--module', module, '--moduleResolution', moduleResolution, file)
    t.same({ code, output }, { code: 0, output: '' })
  })
}

t.test('publint finds nothing', async t => {
  const { code, output } = await run(packageRoot, process.execPath, join(packageRoot, 'node_modules/publint/src/cli.js'), '--strict', tarball)
  t.same({ code, good: output.includes('All good!') }, { code: 0, good: true }, output)
})

t.test('Are the types wrong? No', async t => {
  // Node.js that can require an ES module needs no second build.
  const { code, output } = await run(packageRoot, process.execPath, join(packageRoot, 'node_modules/@arethetypeswrong/cli/dist/index.js'),
    '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm', '--no-color', '--no-emoji', tarball)
  t.equal(code, 0, output)
})
