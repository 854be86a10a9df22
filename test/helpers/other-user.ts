import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

interface Report {
  /** What the library's stream emitted, as shapeOf tells it. */
  error: object
  /** The same of node:fs. */
  expected: object
  events: string[]
}

/** Opens a file by a stream in a child process, as 'nobody' if this process is root: root may open everything. */
export async function runAsOtherUser(t: Test, direction: 'read' | 'write', path: string): Promise<Report> {
  const script = new URL('./other-user-child.js', import.meta.url).pathname
  const root = process.getuid?.() === 0
  t.comment(root ? 'the child runs as user 65534' : 'the child runs as this user, who is not root')
  const child = spawn(process.execPath, [script, direction, path, root ? '65534' : ''], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')])
  return JSON.parse(output) as Report
}

/** A directory that every user may enter and write to, wherever this project is. */
export function publicDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'uring-streams-public-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o777)
  return directory
}

/** The reason to skip what root alone can try as another user. */
export const notRoot: string | false = process.getuid?.() !== 0 && 'only root can become another user for a while'

/** Runs `body` with a directory of user 65534's while this process acts as that user. */
export async function asOtherUser(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'uring-streams-other-'))
  chownSync(directory, 65534, 65534)
  try {
    process.setegid!(65534)
    process.seteuid!(65534)
    await body(directory)
  } finally {
    process.seteuid!(0)
    process.setegid!(0)
    rmSync(directory, { recursive: true })
  }
}

/** Acts as root again meanwhile. */
export function asRoot(body: () => void): void {
  process.seteuid!(0)
  try {
    body()
  } finally {
    process.seteuid!(65534)
  }
}
