/** A file that takes the place of another as a whole, or not at all: rename(2) of one that is on the disk already. */
import type { BigIntStats } from 'node:fs'
import fs, { constants } from 'node:fs'
import { constants as system } from 'node:os'
import { dirname, isAbsolute } from 'node:path'
import { promisify } from 'node:util'
import type { OpenFile } from './engine.js'
import { errnoError, invalidArgValue } from './errors.js'
import { closeFile, openFile } from './open-files.js'
import { ops } from './operations.js'
import { mapPath } from './path.js'
import type { Ring } from './ring.js'

const { access, link, lstat, readlink, realpath, rename, stat, unlink, writeFile } = fs.promises
const [fchmod, fchown, fstat] = [promisify(fs.fchmod), promisify(fs.fchown), promisify(fs.fstat)]

/** What link(2) answers where there are no hard links: FAT and exFAT; file systems of FUSE; network file systems. */
const linkless = ['EPERM', 'ENOSYS', 'EOPNOTSUPP', 'ENOTSUP']

type Path = string | Buffer

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}

/** The path of a name beside another's. Not by node:path's `join`: `link/..` is the parent of what the link leads to. */
function neighbour(path: string, name: string): string {
  return isAbsolute(name) ? name : `${dirname(path)}/${name}`
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
    return await followed(mapPath(path, from => neighbour(from, named)))
  } catch (error) {
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOENT') throw error
    return path // nothing is there yet
  }
}

async function statIfThere(path: Path, look: typeof stat): Promise<BigIntStats | null> {
  try {
    return await look(path, { bigint: true })
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

/** What is to be replaced; null when there is nothing. Fails where a write to it would. */
async function replaceable(target: Path, asked: Path): Promise<BigIntStats | null> {
  const found = await statIfThere(target, stat)
  if (found === null) return null
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
  /** @param replaced null: there is nothing yet */
  private constructor(
    readonly ring: Ring, readonly target: Path, readonly temporary: Path, readonly replaced: BigIntStats | null, readonly onlyNew: boolean
  ) {}

  /**
   * @param path what is to be replaced, or made; symbolic links are followed
   * @param onlyNew nothing may be there, nor a link, now or when it is committed: EEXIST
   * Rejects as opening it to write would: EACCES, EISDIR, ELOOP…; with ERR_INVALID_ARG_VALUE for what is no regular file
   */
  static async beside(ring: Ring, path: Path, onlyNew = false): Promise<AtomicFile> {
    try {
      if (onlyNew && await statIfThere(path, lstat) !== null) throw errnoError(-system.errno.EEXIST, 'open', path)
      const target = onlyNew ? path : await followed(path)
      const replaced = onlyNew ? null : await replaceable(target, path)
      // Not made of the target's name, which may be as long as names can be.
      // The global loads node:crypto when it is used: that takes 5 ms, which is nearly as long as all of this library.
      const name = `.uring-${crypto.randomUUID()}.tmp`
      return new AtomicFile(ring, target, mapPath(target, each => neighbour(each, name)), replaced, onlyNew)
    } catch (error) {
      const { errno } = error as NodeJS.ErrnoException
      throw errno === undefined ? error : errnoError(errno, 'open', path)
    }
  }

  /** Gives the new file the permissions, and where that is allowed the owner, of the one that it replaces. */
  async resemble(fd: number): Promise<void> {
    const old = this.replaced
    if (old === null) return
    const made = await fstat(fd, { bigint: true })
    if (made.uid !== old.uid || made.gid !== old.gid) {
      await fchown(fd, Number(old.uid), Number(old.gid)).catch(error => {
        if (codeOf(error) !== 'EPERM') throw error
      })
    }
    await fchmod(fd, Number(old.mode) & 0o7777) // behind fchown, which clears bits of it
  }

  /** Waits until the file is on the disk, puts it in the target's place, and waits until that is on the disk. */
  async commit(file: OpenFile): Promise<void> {
    await this.ring.submit(ops.fsync(file))
    const directory = await this.#openDirectory() // before: an error afterwards would say that nothing has changed
    try {
      if (this.onlyNew) await this.#linkNew()
      else await rename(this.temporary, this.target)
      await this.#syncName(directory ?? file)
    } finally {
      if (directory !== null) await closeFile(this.ring, directory)
    }
  }

  /**
   * Null where it cannot be: of a directory that may be written to and not read, the file is synced once more instead, whose
   * change of name then goes to the disk with it (ext4, XFS and btrfs log both together).
   */
  async #openDirectory(): Promise<OpenFile | null> {
    if (process.platform === 'win32') return null // directories cannot be opened there
    try {
      return await openFile(this.ring, mapPath(this.target, dirname), constants.O_RDONLY, 0)
    } catch (error) {
      if (codeOf(error) !== 'EACCES') throw error
      return null
    }
  }

  async #syncName(file: OpenFile): Promise<void> {
    try {
      await this.ring.submit(ops.fsync(file))
    } catch (error) {
      // Some file systems have nothing to sync in a directory.
      if (codeOf(error) !== 'EINVAL') throw error
    }
  }

  /** A name that has been taken since is refused by link, where rename would replace it. */
  async #linkNew(): Promise<void> {
    try {
      await link(this.temporary, this.target)
    } catch (error) {
      if (linkless.includes(codeOf(error)!)) return this.#renameNew()
      throw error
    }
    await this.discard()
  }

  /** Takes the name with a file that is empty for a moment, and replaces that. */
  async #renameNew(): Promise<void> {
    await writeFile(this.target, '', { flag: 'wx' })
    try {
      await rename(this.temporary, this.target)
    } catch (error) {
      await unlink(this.target)
      throw error
    }
  }

  /** Removes the temporary file, which may not be there. */
  async discard(): Promise<void> {
    await unlink(this.temporary).catch(error => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
  }
}
