// The process of one case, as the harness sees it.
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Bench, Plan } from './bench.js'

const program = fileURLToPath(new URL('./fixtures/one-case.js', import.meta.url))

/** What a case is asked to do. */
export type Question = 'verify' | 'round'
/** What it found; undefined after `verify`. */
export interface Answer { value?: number; error?: string }

export class CaseProcess {
  readonly #child: ChildProcess

  constructor({ directory, size, seed }: Bench, row: string, readonly name: string) {
    const plan: Plan = { directory, size, seed }
    this.#child = fork(program, [JSON.stringify(plan), row, name])
  }

  /** Does the work untimed and checks every byte. */
  async verify(): Promise<void> {
    await this.#ask('verify')
  }

  /** Does the work once, and gives its figure. */
  async round(): Promise<number> {
    return (await this.#ask('round')).value!
  }

  async #ask(question: Question): Promise<Answer> {
    const waiting = new AbortController()
    const { signal } = waiting
    const ended = once(this.#child, 'exit', { signal }).then(([code, killed]): Answer => ({ error: `its process ended with ${code ?? killed}` }))
    this.#child.send(question)
    const answer = await Promise.race([ended, once(this.#child, 'message', { signal }).then(([said]) => said as Answer)])
    waiting.abort()
    await ended.catch(() => {}); // the abort
    if (answer.error !== undefined) throw new Error(`${this.name}: ${answer.error}`)
    return answer
  }

  end(): void {
    this.#child.kill()
  }
}
