/** What --dry-run can tell of a copy's failures without trying. */
import type { Stats } from 'node:fs'
import { constants } from 'node:fs'
import { access, lstat, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type { CopyOptions } from './arguments.js'
import { failure } from './failure.js'
import type { Path } from './places.js'
import type { Entry, Tree } from './tree.js'
import { refuseUnverifiable } from './verify.js'

/** @throws the first that cannot be read, or whose target is in the way */
export async function foresee({ directories, links, files }: Tree, { force, verify }: CopyOptions): Promise<void> {
  for (const { target } of directories) {
    const there = await lookAt(target, lstat)
    if (there !== null && !there.isDirectory()) throw new Error(`'${target.toString()}' is no directory, and would not be replaced by one`)
  }
  for (const each of [...links, ...files]) await refuseInTheWay(each, force)
  for (const { source, stats } of files) {
    if (verify) refuseUnverifiable(source, stats)
    await access(source, constants.R_OK)
    await setImmediate() // signals have their turn
  }
}

async function refuseInTheWay({ source, target, stats }: Entry, force = false): Promise<void> {
  const there = await lookAt(target, lstat)
  if (there === null) return
  const led = stats.isSymbolicLink() ? null : await lookAt(target, stat)
  if (led !== null && led.dev === stats.dev && led.ino === stats.ino) {
    throw failure('EINVAL', `'${source.toString()}' and '${target.toString()}' are the same file`)
  }
  if (!force) throw failure('EEXIST', `EEXIST: file already exists, open '${target.toString()}'`)
  if ((led ?? there).isDirectory()) throw new Error(`'${target.toString()}' is a directory, and would not be replaced`)
}

async function lookAt(path: Path, look: (path: Path) => Promise<Stats>): Promise<Stats | null> {
  return look(path).catch(error => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
}
