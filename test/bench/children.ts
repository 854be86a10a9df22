// Work in a process of its own: for another size of libuv's pool, or to see what one process uses.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The watchdog of the run cannot fire while this process waits for a child. */
const childMsMax = 300_000

/** Runs a program of fixtures/, by another that ends up as it, and gives the JSON that it prints. */
export function childReport<T>(fixture: string, args: string[], env: NodeJS.ProcessEnv = {}, wrap: string[] = []): T {
  const program = fileURLToPath(new URL(`./fixtures/${fixture}.js`, import.meta.url))
  const [command, ...rest] = [...wrap, process.execPath, program, ...args]
  const printed = execFileSync(command, rest, {
    encoding: 'utf8', timeout: childMsMax, env: { ...process.env, ...env }
  })
  return JSON.parse(printed) as T
}
