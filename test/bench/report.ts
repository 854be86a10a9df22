// The table for people and the record for programs.
import type { Bench } from './bench.js'
import { digits, mebibytes } from './format.js'
import { caseNamed } from './harness.js'
import type { GoalResult, Row, RowResult } from './harness.js'
import type { Machine } from './machine.js'

export interface Run { machine: Machine; rounds: number; results: RowResult[]; failed: string[] }

const headings = ['work', 'ours', 'median [least]', 'against', 'median [least]', 'ratio', 'target', 'met']

export function markdown({ machine, rounds, results, failed }: Run, bench: Bench): string {
  const lines = results.flatMap(result => tableLines(result, bench))
  const notes = results.flatMap(({ row }) => row.note ? [`- ${row.name}: ${row.note}.`] : [])
  return [
    `${machine.date}, ${machine.kernel}, Node ${machine.node}, ${machine.fileSystem}, ${machine.cpu}, ${machine.cores} cores; engine ${machine.engine}; `
      + `${mebibytes(bench.size)}, medians of ${rounds} interleaved rounds; seed ${bench.seed}.`,
    '',
    tableLine(headings),
    tableLine(headings.map(() => '---')),
    ...lines,
    '',
    'The ratio is the median of what ours is against, over the median of ours: above 1, ours takes less. Without a target: for information.',
    ...notes,
    ...failed.map(name => `- ${name}: **failed**, so without figures.`)
  ].join('\n')
}

/** A row's lines of the table. */
export function tableLines(result: RowResult, bench: Bench): string[] {
  return result.goals.map(goal => tableLine(goalLine(result, goal, bench)))
}

export function record({ machine, rounds, results, failed }: Run, bench: Bench): object {
  const rows = results.map(({ row, cases, goals }) => ({ name: row.name, cases, goals }))
  return { ...machine, bytes: bench.size, seed: bench.seed, rounds, rows, failed }
}

/** A line for each goal that was missed. */
export function missed(results: RowResult[]): string[] {
  return results.flatMap(({ row, goals }) => goals
    .filter(goal => goal.met === false)
    .map(goal => `${row.name}: ${goal.ours}${'peer' in goal ? ` against ${goal.peer}` : ''} (${target(goal, row)})`))
}

function goalLine(result: RowResult, goal: GoalResult, bench: Bench): string[] {
  const { row, cases } = result
  const figures = (name: string) => {
    const { median, minimum, missing } = caseNamed(cases, name)
    if (missing !== undefined) return missing
    const rate = row.rate ? `, ${row.rate(median, bench)}` : ''
    return `${row.format(median)} [${row.format(minimum)}]${rate}`
  }
  const against = 'peer' in goal ? [goal.peer, figures(goal.peer)] : ['', '']
  return [
    row.name, goal.ours, figures(goal.ours), ...against,
    goal.ratio === undefined ? '' : `${digits(goal.ratio)}x`,
    target(goal, row),
    goal.met === undefined ? '' : goal.met ? 'yes' : '**no**'
  ]
}

function target(goal: GoalResult, { format }: Row): string {
  if ('peer' in goal) return goal.atLeast === undefined ? '' : `≥ ${goal.atLeast}x`
  return goal.atMost === undefined ? '' : `≤ ${format(goal.atMost)}`
}

function tableLine(cells: string[]): string {
  return `| ${cells.join(' | ')} |`
}
