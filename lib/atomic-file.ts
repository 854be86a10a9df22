/** A file that takes the place of another as a whole, or not at all: rename(2) of one that is on the disk already. */
import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import fs, { constants } from 'node:fs'
import { constants as system } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { errnoError, invalidArgValue } from './errors.js'
import { mapPath } from './path.js'

const { access, open, readlink, realpath, rename, stat, unlink } = fs.promises
const [fchmod, fchown, fsync] = [promisify(fs.fchmod), promisify(fs.fchown), promisify(fs.fsync)]

type Path = string | Buffer

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

/** Where a path leads that may be a symbolic link to nothing: a link stays, and what it names is replaced. */
async function followed(path: Path): Promise<Path> {
  try {
    return typeof path === 'string' ? await realpath(path) : await realpath(path, 'buffer')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  try {
    const next = await readlink(path, 'latin1')
    const named = typeof path === 'string' ? Buffer.from(next, 'latin1').toString() : next
    return await followed(mapPath(path, from => resolve(dirname(from), named)))
  } catch (error) {
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOENT') throw error
    return path // nothing is there yet
  }
}

/** What is to be replaced; null when there is nothing. Fails where a write to it would. */
async function replaceable(target: Path, asked: Path): Promise<Stats | null> {
  let found: Stats
  try {
    found = await stat(target)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
  if (found.isDirectory()) throw errnoError(-system.errno.EISDIR, 'open', asked)
  if (!found.isFile()) throw invalidArgValue('path', asked.toString(), 'must name a regular file to be written atomically')
  await access(target, constants.W_OK) // a renaming asks the directory only
  return found
}

/**
 * Steps: `beside` chooses a name, its caller makes a file of that name (O_EXCL) and writes it, `commit` puts it in the
 * target's place. Whatever fails before, `discard` leaves the target as it was. Hard links to the target keep the old
 * file; extended attributes and ACLs are not taken over. A process that is killed meanwhile leaves the temporary file.
 */
export class AtomicFile {
  private constructor(readonly target: Path, readonly temporary: Path, private readonly _replaced: Stats | null) {}

  /**
   * @param path what is to be replaced, or made; symbolic links are followed
   * Rejects as opening it to write would: EACCES, EISDIR, ELOOP…; with ERR_INVALID_ARG_VALUE for what is no regular file
   */
  static async beside(path: Path): Promise<AtomicFile> {
    try {
      const target = await followed(path)
      const replaced = await replaceable(target, path)
      // Not made of the target's name, which may be as long as names can be.
      const name = `.uring-${randomBytes(9).toString('hex')}.tmp`
      return new AtomicFile(target, mapPath(target, each => join(dirname(each), name)), replaced)
    } catch (error) {
      const { errno } = error as NodeJS.ErrnoException
      throw errno === undefined ? error : errnoError(errno, 'open', path)
    }
  }

  /** Gives the new file the permissions, and where that is allowed the owner, of the one that it replaces. */
  async resemble(fd: number): Promise<void> {
    const old = this._replaced
    if (old === null) return
    const made = await promisify(fs.fstat)(fd)
    if (made.uid !== old.uid || made.gid !== old.gid) {
      await fchown(fd, old.uid, old.gid).catch(error => {
        if (codeOf(error) !== 'EPERM') throw error
      })
    }
    await fchmod(fd, old.mode & 0o7777) // behind fchown, which clears bits of it
  }

  /** Waits until the file is on the disk, puts it in the target's place, and waits until that is on the disk. */
  async commit(fd: number): Promise<void> {
    await fsync(fd)
    await rename(this.temporary, this.target)
    await syncDirectory(mapPath(this.target, dirname))
  }

  /** Removes the temporary file, which may not be there. */
  async discard(): Promise<void> {
    await unlink(this.temporary).catch(error => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
  }
}

async function syncDirectory(path: Path): Promise<void> {
  if (process.platform === 'win32') return // directories cannot be opened there
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } catch (error) {
    // Some file systems have nothing to sync in a directory.
    if (codeOf(error) !== 'EINVAL') throw error
  } finally {
    await directory.close()
  }
}
