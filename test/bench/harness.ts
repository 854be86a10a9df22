// What a row of the benchmark is, and how its cases are run: interleaved, in a rotated order.
import type { Bench } from './bench.js'
import { CaseProcess } from './case-process.js'

/** One way of doing a row's work, ours or a peer's. */
export interface Case {
  name: string
  /** Why there are no figures of it: the program of a peer is not installed. */
  missing?: string
  /** Does the work untimed and checks every byte of it; it warms up the code as well. */
  verify(): Promise<void>
  /** Does the work once, with a cheap check, and gives its figure: seconds, or bytes of memory. */
  round(): Promise<number>
}

/** Ours against a peer; without `atLeast` it is shown for information. */
export interface Comparison { ours: string; peer: string; atLeast?: number }

/** Ours against a fixed figure; without `atMost` it is shown for information. */
export interface Limit { ours: string; atMost?: number }

export interface Row {
  name: string
  /** What a reader must know to trust the row; printed under the table. */
  note?: string
  cases(bench: Bench): Case[] | Promise<Case[]>
  goals: (Comparison | Limit)[]
  format(value: number): string
  /** What the median means as a rate, where the work has one. */
  rate?(value: number, bench: Bench): string
}

export interface CaseResult { name: string; missing?: string; values: number[]; median: number; minimum: number }

export type GoalResult = (Comparison | Limit) & { ratio?: number; met?: boolean }

export interface RowResult { row: Row; cases: CaseResult[]; goals: GoalResult[] }

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export async function seconds(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Rounds before the first that is timed. */
const warmUps = 4

/** Each case in a process of its own, as its user has it: what another one did to the heap is not on its time. */
export async function runRow(row: Row, bench: Bench, rounds: number, progress: (done: string) => void): Promise<RowResult> {
  const all = await row.cases(bench)
  const cases = all.filter(({ missing }) => missing === undefined).map(({ name }) => new CaseProcess(bench, row.name, name))
  try {
    const values = await runCases(cases, rounds, progress)
    const results = all.map(one => summary(one, values.get(one.name) ?? []))
    return { row, cases: results, goals: row.goals.map(goal => judge(goal, results)) }
  } finally {
    for (const one of cases) one.end()
  }
}

async function runCases(cases: CaseProcess[], rounds: number, progress: (done: string) => void): Promise<Map<string, number[]>> {
  const values = new Map(cases.map(({ name }) => [name, [] as number[]]))
  for (const one of cases) {
    progress(`${one.name}: verifying`)
    await one.verify()
  }
  // Ours and the peers' alike must be compiled before they are timed: the first GiB of a leased read took 1.3x as long.
  for (let round = 0; round < warmUps; round++) for (const one of cases) await one.round()
  for (let round = 0; round < rounds; round++) {
    for (const one of rotated(cases, round)) {
      progress(`${one.name}: round ${round + 1} of ${rounds}`)
      values.get(one.name)!.push(await one.round())
    }
  }
  return values
}

export function caseNamed(results: CaseResult[], name: string): CaseResult {
  const found = results.find(result => result.name === name)
  if (!found) throw new Error(`the row has no case named '${name}'`)
  return found
}

function rotated<T>(items: T[], by: number): T[] {
  const first = by % items.length
  return [...items.slice(first), ...items.slice(0, first)]
}

function summary({ name, missing }: Case, values: number[]): CaseResult {
  return { name, missing, values, median: median(values), minimum: Math.min(...values) }
}

function judge(goal: Comparison | Limit, results: CaseResult[]): GoalResult {
  const ours = caseNamed(results, goal.ours).median
  if (!('peer' in goal)) return { ...goal, met: goal.atMost === undefined ? undefined : ours <= goal.atMost }
  const peer = caseNamed(results, goal.peer)
  if (peer.missing !== undefined) return goal
  // Less is better in every unit used here, so the peer's figure over ours says how many times better ours is.
  const ratio = peer.median / ours
  return { ...goal, ratio, met: goal.atLeast === undefined ? undefined : ratio >= goal.atLeast }
}
