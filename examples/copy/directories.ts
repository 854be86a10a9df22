/** Directories and links of a tree, made as cp -r makes them. */
import type { Stats } from 'node:fs'
import { chmod, chown, lchown, lstat, lutimes, mkdir, open, readlink, stat, symlink, unlink, utimes } from 'node:fs/promises'
// The library copies files alone; attributes of directories are nobody's business but this tool's.
import { copyXattrs } from '../../lib/file-calls.js'
import { errnoError } from '../../lib/errors.js'
import type { CopyOptions } from './arguments.js'
import type { Path } from './places.js'
import type { Entry } from './tree.js'

/** Gives whether it was made, or was there. Its owner can write to a new one for now. */
export async function makeDirectory({ source, target, stats }: Entry, { preserve }: CopyOptions): Promise<boolean> {
  try {
    // With the sticky bit: where all may write it protects. What is preserved comes behind the owner: nobody else is to look in before.
    const mode = (stats.mode & (preserve ? 0o1700 : 0o1777)) | 0o700
    await mkdir(target, { mode })
    if ((process.umask() & 0o700) !== 0) await chmod(target, mode & ~process.umask() | 0o700)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  // Not through a link: what it leads to may be anywhere.
  if ((await lstat(target)).isDirectory()) return false
  throw new Error(`'${target.toString()}' is no directory, and not replaced by '${source.toString()}', which is one`)
}

/**
 * At the end: what is made in a directory changes its times, and its mode may forbid that.
 * @param entries each before what is in it
 * @throws the first failure, when the others are finished
 */
export async function finishDirectories(entries: Entry[], made: Set<Entry>, preserve: boolean): Promise<void> {
  const failures: unknown[] = []
  for (const each of entries.toReversed()) {
    await finishDirectory(each, made.has(each), preserve).catch(error => failures.push(error))
  }
  if (failures.length > 0) throw failures[0]
}

async function finishDirectory({ source, target, stats }: Entry, made: boolean, preserve: boolean): Promise<void> {
  if (preserve) {
    const owned = await giveAway(chown, target, stats)
    await keepXattrs(source, target)
    await chmod(target, stats.mode & (owned ? 0o7777 : 0o1777))
    await utimes(target, time(stats.atimeMs), time(stats.mtimeMs))
  } else if (made && (stats.mode & ~process.umask() & 0o700) !== 0o700) {
    // It may have a set-group-id bit of its parent's.
    await chmod(target, (await stat(target)).mode & 0o7000 | stats.mode & 0o777 & ~process.umask())
  }
}

export async function makeLink({ source, target, stats }: Entry, { force, preserve }: CopyOptions): Promise<void> {
  const to = await readlink(source, 'buffer')
  if (force && await isSameLink(target, stats)) throw new Error(`'${source.toString()}' and '${target.toString()}' are the same link`)
  const isThere = force && await unlink(target).catch(error => error.code === 'EISDIR')
  if (isThere) throw new Error(`'${target.toString()}' is a directory, and not replaced by '${source.toString()}', which is a link`)
  await symlink(to, target)
  if (!preserve) return
  await giveAway(lchown, target, stats)
  await lutimes(target, time(stats.atimeMs), time(stats.mtimeMs))
}

/** By another path, such as a bind mount's: its replacement would be that of the source. */
async function isSameLink(target: Path, { dev, ino }: Stats): Promise<boolean> {
  const found = await lstat(target).catch(() => null)
  return found !== null && found.dev === dev && found.ino === ino
}

/** For utimes: a Date has milliseconds alone, and of a number before 1970 Node makes the time that it is. */
function time(milliseconds: number): number | Date {
  return milliseconds < 0 ? new Date(milliseconds) : milliseconds / 1000
}

/** As copyFile does with `xattrs: 'prefer'`. */
async function keepXattrs(source: Path, target: Path): Promise<void> {
  if (process.platform !== 'linux') return // the addon is for Linux alone, and others may not open directories
  await using from = await open(source)
  await using to = await open(target)
  const result = await copyXattrs(from.fd, to.fd, true)
  if (result < 0) throw errnoError(result, 'setxattr', target)
}

/** As copyFile does with `ownership: 'prefer'`. */
async function giveAway(change: typeof chown, target: Path, { uid, gid }: Stats): Promise<boolean> {
  for (const user of [uid, -1]) {
    try {
      await change(target, user, gid)
      return user !== -1
    } catch (error) {
      if (!['EPERM', 'EINVAL'].includes((error as NodeJS.ErrnoException).code!)) throw error
    }
  }
  return false
}
