/** What --dry-run can tell of a copy's failures without trying. */
import type { Stats } from 'node:fs'
import { constants } from 'node:fs'
import { access, lstat, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { errnoError } from '../../lib/errors.js'
import type { CopyOptions } from './arguments.js'
import { failure } from './failure.js'
import type { Path } from './places.js'
import { inside, keyOf, parentOf } from './places.js'
import type { Entry, Tree } from './tree.js'
import { refuseUnverifiable } from './verify.js'

/** @throws the first that cannot be read or made, or whose target is in the way */
export async function foresee({ directories, links, files }: Tree, { force, verify }: CopyOptions): Promise<void> {
  // What is in a directory that will be made can be made.
  const open = new Set<string>()
  for (const { target } of directories) {
    const there = await lookAt(target, lstat)
    if (there !== null && !there.isDirectory()) throw new Error(`'${target.toString()}' is no directory, and would not be replaced by one`)
    if (there !== null) continue
    await refuseUnmade(target, 'mkdir', open)
    open.add(keyOf(parentOf(inside(target, '.')))) // as what is in it has it
  }
  for (const each of [...links, ...files]) {
    const isThere = await refuseInTheWay(each, force)
    if (!isThere) await refuseUnmade(each.target, 'open', open)
  }
  for (const { source, stats } of files) {
    if (verify) refuseUnverifiable(source, stats)
    await access(source, constants.R_OK)
    await setImmediate() // signals have their turn
  }
}

/** @param open directories in which something can be made, or will be: those that are found are added */
async function refuseUnmade(target: Path, syscall: string, open: Set<string>): Promise<void> {
  const directory = parentOf(target)
  if (open.has(keyOf(directory))) return
  // The dot: of a file it is ENOTDIR.
  await access(inside(directory, '.'), constants.W_OK | constants.X_OK).catch(error => { throw errnoError(error.errno, syscall, target) })
  open.add(keyOf(directory))
}

/** Gives whether something is there that would be overwritten. */
async function refuseInTheWay({ source, target, stats }: Entry, force = false): Promise<boolean> {
  const there = await lookAt(target, lstat)
  if (there === null) return false
  const led = stats.isSymbolicLink() ? null : await lookAt(target, stat)
  if (led !== null && led.dev === stats.dev && led.ino === stats.ino) {
    throw failure('EINVAL', `'${source.toString()}' and '${target.toString()}' are the same file`)
  }
  if (!force) throw failure('EEXIST', `EEXIST: file already exists, open '${target.toString()}'`)
  if ((led ?? there).isDirectory()) throw new Error(`'${target.toString()}' is a directory, and would not be replaced`)
  return true
}

async function lookAt(path: Path, look: (path: Path) => Promise<Stats>): Promise<Stats | null> {
  return look(path).catch(error => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
}
