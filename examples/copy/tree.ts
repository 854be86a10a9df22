/** What there is to copy of several sources, directories among them. */
import type { Stats } from 'node:fs'
import { lstatSync } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname, sep } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { errnoError } from '../../lib/errors.js'
import type { CopyOptions } from './arguments.js'
import { statIfThere } from './copy.js'
import { failure } from './failure.js'
import { Merging } from './merging.js'
import type { Path } from './places.js'
import { goalInside, inside } from './places.js'

const looksAtOnce = 100

export interface Entry { source: Path, target: Path, stats: Stats }

export interface Tree {
  /** Each before what is in it. */
  directories: Entry[]
  links: Entry[]
  files: Entry[]
  /** FIFOs, sockets and devices: they are not opened, and Node.js has no mknod to make them anew. */
  skipped: Entry[]
  /** Of all files. */
  bytes: number
}

/** Looks at all of it, before anything is touched. @throws for what cannot be copied, or the reason of `signal` */
export async function plan({ sources, source, target, recursive, force, preserve }: CopyOptions, signal?: AbortSignal): Promise<Tree> {
  const all = sources ?? [source]
  const existing = await statIfThere(target)
  const into = existing?.isDirectory() ?? false
  if (all.length > 1 && !into) throw failure('ENOTDIR', `ENOTDIR: several files need a directory to go to, '${target}' is none`)
  const merging = all.length > 1 ? new Merging(force ?? false, preserve === true) : null
  const tree: Tree = { directories: [], links: [], files: [], skipped: [], bytes: 0 }
  for (const each of all) {
    const found = await add(tree, each, into ? goalInside(target, each) : target, recursive ?? false, merging)
    if (found !== null) await addDirectory(tree, found, merging, signal)
  }
  for (const { stats } of tree.files) if (stats.isFile()) tree.bytes += stats.size
  return tree
}

/** Gives a directory, whose entries are to be added. */
async function add(tree: Tree, source: string, target: string, recursive: boolean, merging: Merging | null): Promise<Entry | null> {
  // Links are copied as links, but only of a tree; else they are followed.
  const stats = await (recursive ? lstat(source) : stat(source)).catch(error => { throw named(error, source) })
  if (stats.isDirectory()) {
    if (!recursive) throw errnoError(-constants.errno.EISDIR, 'read', source)
    await refuseInside(source, target)
    return { source, target, stats }
  }
  merging?.refuseTwice(target)
  addEntry(tree, { source, target, stats }, recursive, merging)
  return null
}

function addEntry(tree: Tree, entry: Entry, recursive: boolean, merging: Merging | null): void {
  const { stats } = entry
  if (recursive && !stats.isFile() && !stats.isSymbolicLink()) return void tree.skipped.push(entry)
  if (merging?.takesPlace(entry, tree)) return
  if (stats.isSymbolicLink()) tree.links.push(entry)
  else tree.files.push(entry)
}

/** Why an entry is skipped. */
export function skippedBecause({ source, stats }: Entry): string {
  const kind = stats.isFIFO() ? 'FIFO' : stats.isSocket() ? 'socket' : 'device'
  return `skipped '${source.toString()}': a ${kind} cannot be made here (cp -r makes it)`
}

async function addDirectory(tree: Tree, entry: Entry, merging: Merging | null, signal?: AbortSignal): Promise<void> {
  const found = [entry]
  let looked = 0
  for (let next; (next = found.shift()) !== undefined;) {
    signal?.throwIfAborted()
    if (!merging?.takesPlace(next, tree)) tree.directories.push(next)
    for (const each of await readdir(next.source, { withFileTypes: true, encoding: 'buffer' })) {
      const [from, to] = [inside(next.source, each.name), inside(next.target, each.name)]
      // A look by promise takes ten times as long; signals and progress have their turn now and then.
      if (++looked % looksAtOnce === 0) await setImmediate()
      const entry = { source: from, target: to, stats: lstatSync(from) }
      if (each.isDirectory()) found.push(entry)
      else addEntry(tree, entry, true, merging)
    }
  }
}

/** A directory in itself would have no end. */
async function refuseInside(source: string, target: string): Promise<void> {
  const from = await realpath(source)
  let there = target
  while (await statIfThere(there) === null && dirname(there) !== there) there = dirname(there)
  const goal = await realpath(there)
  if (goal === from || goal.startsWith(from.endsWith(sep) ? from : from + sep)) throw new Error(`'${target}' is '${source}' or inside of it`)
}

function named(error: NodeJS.ErrnoException, path: string): Error {
  return error.code === 'ENOENT' ? failure('ENOENT', `ENOENT: no such file or directory, open '${path}'`) : error
}
