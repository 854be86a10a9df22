// Peers that are programs.
import { spawnSync } from 'node:child_process'
import type { Source } from './bench.js'
import { seconds } from './harness.js'
import type { Case } from './harness.js'

/** The seconds dd itself reports for its copying, so the start of its process is not counted. */
export function dd(args: string[], bytes: number): number {
  const report = run('dd', args)
  const [, copied, taken] = /^(\d+) bytes.* copied, ([\d.e+-]+) s/m.exec(report) ?? []
  if (Number(copied) !== bytes) throw new Error(`dd copied ${copied} bytes where ${bytes} were expected: ${report}`)
  return Number(taken)
}

/** Reads all of the source. */
export function ddReadCase({ path, content: { bytes } }: Source): Case {
  const read = () => dd([`if=${path}`, 'of=/dev/null', 'bs=1M'], bytes)
  // Its bytes are gone to /dev/null: their count is what there is to check.
  return { name: 'dd bs=1M of=/dev/null', verify: async () => { read() }, round: async () => read() }
}

/** cp reports no time: this is its process from start to end. */
export function cp(source: string, target: string): Promise<number> {
  return seconds(() => run('cp', [source, target]))
}

function run(program: string, args: string[]): string {
  // The C locale, since dd's report is parsed.
  const result = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
  if (result.error) throw result.error
  if (result.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${result.stderr}`)
  return result.stderr
}
