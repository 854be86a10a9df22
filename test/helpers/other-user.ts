import { spawn } from 'node:child_process'
import { once } from 'node:events'
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
