/** A program that runs another one to which a system call is refused. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from './package-root.js'

const build = mkdtempSync(join(tmpdir(), 'uring-streams-refuse-'))
t.teardown(() => rmSync(build, { recursive: true, force: true }))

/** Its arguments: an errno, the call, the other program's words. */
export const refuse = join(build, 'refuse-call')

/** Why nothing can be refused here, or false. */
export const notRefusing = obstacle()

function obstacle(): string | false {
  try {
    execFileSync('cc', ['-O1', '-o', refuse, join(packageRoot, 'test/fallback/refuse-call.c')], { stdio: 'pipe' })
    execFileSync(refuse, ['1', 'setup', 'true'], { stdio: 'pipe' })
    return false
  } catch (error) {
    return `no program that refuses system calls: ${(error as Error).message.split('\n')[0]}`
  }
}
