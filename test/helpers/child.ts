import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { patience } from './patience.js'

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface ChildOptions {
  /** A command that runs the child: prlimit, setpriv... */
  wrap?: string[]
  /** Options of node itself. */
  node?: string[]
  cwd?: string
  /** For a child that is spoken to while it runs. */
  started?: (child: ChildProcess) => Promise<void>
}

/** Ends a child that hangs; no test expects it to be reached. */
const deadlineMs = 300_000 * patience

/** tap has its children load modules of its own, which a child of another user or with other limits cannot. */
const withoutTap = ['env', '-u', 'NODE_OPTIONS']

/**
 * Runs a fixture in a process of its own until it ends; fails the test if it has to be killed.
 *
 * @param fixture the URL of the compiled program
 */
export async function runChild(t: Test, fixture: URL, args: string[], options: ChildOptions = {}): Promise<Ended> {
  const { wrap = [], node = [], cwd, started } = options
  const [command, ...rest] = [...withoutTap, ...wrap, process.execPath, ...node, fileURLToPath(fixture), ...args]
  const child = spawn(command, rest, { cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  const timer = setTimeout(() => {
    t.fail(`${fixture.pathname} has not ended by its deadline`)
    child.kill('SIGKILL')
  }, deadlineMs)
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  child.stdin.on('error', () => {}) // it may end before it has read everything
  if (started === undefined) child.stdin.end()
  const failed = await started?.(child).then(() => null, (error: Error) => error)
  if (failed) child.kill('SIGKILL') // nobody else would end it, and the test would wait for it
  const [stdout, stderr] = await output
  clearTimeout(timer)
  if (failed) throw failed
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr }
}

/** Runs a fixture that must end with code 0, saying nothing on stderr; gives the JSON it printed. */
export async function reportOf<T>(t: Test, fixture: URL, args: string[], options?: ChildOptions): Promise<T> {
  const { stdout, ...ended } = await runChild(t, fixture, args, options)
  t.same(ended, { code: 0, signal: null, stderr: '' }, 'the child ends with code 0, by itself and in silence')
  return JSON.parse(stdout || 'null') as T
}

/** Waits until a child has printed a line; gives what it has said if it ends before. */
export function lineOf(child: ChildProcess): Promise<string> {
  return new Promise(resolve => {
    let said = ''
    child.stdout!.on('data', (part: Buffer) => {
      said += part.toString()
      if (said.includes('\n')) resolve(said.slice(0, said.indexOf('\n')))
    })
    child.once('close', () => resolve(said))
  })
}
