/** Extended attributes of files, which Node.js has no calls for. */
import { execFileSync } from 'node:child_process'
import type { Test } from 'tap'
import { thrown } from './stream-events.js'

function python(script: string, args: string[]): string {
  return execFileSync('python3', ['-c', `import json,os,sys; ${script}`, ...args], { encoding: 'utf8', stdio: 'pipe' })
}

/** Gives whether they could be set: where not that is a visible skip. @param attributes of characters up to 255, each a byte */
export function setXattrs(t: Test, path: string, attributes: Record<string, string>): boolean {
  const script = 'sets = json.loads(sys.argv[2]); [os.setxattr(sys.argv[1], name, sets[name].encode("latin1")) for name in sets]'
  const refused = thrown(() => python(script, [path, JSON.stringify(attributes)]))
  if (refused !== undefined) t.pass('extended attributes', { skip: `none here: ${refused.message.trim().split('\n').at(-1)}` })
  return refused === undefined
}

/** Those of users, or of another kind, as Python shows them. */
export function xattrsOf(path: string, kind = 'user.'): string {
  const script = 'print([(n, os.getxattr(sys.argv[1], n)) for n in sorted(os.listxattr(sys.argv[1])) if n.startswith(sys.argv[2])])'
  return python(script, [path, kind])
}
