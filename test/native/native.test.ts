// The C++ of binding/ that knows nothing of Node, built and run alone under sanitizers.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../helpers/package-root.js'

t.setTimeout(600_000) // building takes most of it, on a busy machine

interface Outcome { succeeded: boolean, output: string }

function run(command: string, args: string[]): Promise<Outcome> {
  return new Promise(resolve => {
    let output = ''
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', data => { output += data })
    child.stderr.on('data', data => { output += data })
    child.on('error', error => resolve({ succeeded: false, output: error.message }))
    child.on('close', code => resolve({ succeeded: code === 0, output }))
  })
}

const source = join(packageRoot, 'test/native')
const build = mkdtempSync(join(tmpdir(), 'uring-streams-native-'))
t.teardown(() => rmSync(build, { recursive: true, force: true }))
const make = (target: string) => run('make', ['--no-print-directory', '-C', source, '-j2', `BUILD=${build}`, target])

/** Why these tests cannot be built here, or null. */
async function obstacle(): Promise<string | null> {
  if (process.env.URING_STREAMS_ENGINE === 'threads') return 'nothing of it runs on threads'
  if (process.platform !== 'linux') return `io_uring is Linux's; this is ${process.platform}`
  const probe = await make('probe')
  return probe.succeeded ? null : `no g++ that links its sanitizers: ${probe.output.trim().split('\n')[0]}`
}

const reason = await obstacle()
if (reason !== null) {
  t.pass('the C++ tests', { skip: reason })
} else {
  const built = await make('all')
  if (!t.ok(built.succeeded, 'the C++ tests are built without a warning')) t.comment(built.output)
  else await runAll()
}

/** Each binary is a subtest, each of its tests an assertion: they print TAP. */
async function runAll(): Promise<void> {
  for (const file of readdirSync(source).filter(name => name.endsWith('_test.cc')).sort()) {
    const name = basename(file, '.cc')
    await t.spawn(join(build, name), [], { cwd: build, env: { ...process.env, TMPDIR: build } }, name)
  }
}
