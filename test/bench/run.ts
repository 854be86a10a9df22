// `npm run bench`: the rows of cases/, each one's cases interleaved, as a Markdown table on stdout.
import { writeFileSync } from 'node:fs'
import { Bench } from './bench.js'
import { rows } from './cases/index.js'
import { runRow } from './harness.js'
import type { RowResult } from './harness.js'
import { describeMachine } from './machine.js'
import { parseOptions, usage } from './options.js'
import type { Options } from './options.js'
import { markdown, missed, record, tableLines } from './report.js'

/** A round takes seconds: past this a stream of ours has stopped, which must not be waited for in silence. */
const silenceMsMax = 300_000

let doing = 'starting'

/** Remembers what is being done, and ends the run when that has been one and the same for too long. */
function makeProgress(): (what: string) => void {
  const watchdog = setTimeout(() => {
    console.error(`not done after ${silenceMsMax / 1000} s: ${doing}`)
    process.exit(1)
  }, silenceMsMax)
  watchdog.unref()
  return what => {
    doing = what
    watchdog.refresh()
  }
}

/** The files go however the run ends; SIGKILL alone leaves them. */
function removeAtExit(bench: Bench): void {
  process.once('exit', () => bench.remove())
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}

/** A row that fails is told of, and the others go on. */
async function runRows(options: Options, bench: Bench): Promise<{ results: RowResult[]; failed: string[] }> {
  const chosen = rows.filter(({ name }) => options.only.length === 0 || options.only.some(text => name.includes(text)))
  if (chosen.length === 0) throw new Error(`no row has that in its name; there are: ${rows.map(({ name }) => `'${name}'`).join(', ')}`)
  const progress = makeProgress()
  const results: RowResult[] = []
  const failed: string[] = []
  for (const row of chosen) {
    console.error(row.name)
    try {
      const result = await runRow(row, bench, options.rounds, what => progress(`${row.name}: ${what}`))
      results.push(result)
      console.error(tableLines(result, bench).join('\n')) // at once: a run that is ended early has not been for nothing
    } catch (error) {
      console.error(`failed: ${doing}:`, error)
      failed.push(row.name)
      process.exitCode = 1
    }
  }
  return { results, failed }
}

async function main(options: Options): Promise<void> {
  const bench = Bench.begin(options.dir, options.size, options.seed)
  removeAtExit(bench)
  const run = { machine: describeMachine(bench.directory), rounds: options.rounds, ...await runRows(options, bench) }
  console.log(markdown(run, bench))
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(record(run, bench), null, 2) + '\n')
  for (const goal of missed(run.results)) console.error(`missed: ${goal}`)
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options) await main(options)
  else console.log(usage)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 2
}
