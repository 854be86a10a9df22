// Work in a process of its own: for another size of libuv's pool, or to see what one process uses.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The watchdog of the run cannot fire while this process waits for a child. */
const childMsMax = 300_000;

/** Runs a program of fixtures/ and gives the JSON that it prints. */
export function childReport<T>(fixture: string, args: string[], env: NodeJS.ProcessEnv = {}): T {
  const program = fileURLToPath(new URL(`./fixtures/${fixture}.js`, import.meta.url));
  const printed = execFileSync(process.execPath, [program, ...args], {
    encoding: 'utf8', timeout: childMsMax, env: { ...process.env, ...env },
  });
  return JSON.parse(printed) as T;
}
