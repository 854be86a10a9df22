/** open: a path becomes a UringFile. */
import { constants } from 'node:fs'
import type { DirectChoice, DirectFile } from './direct.js'
import { openDirect } from './direct.js'
import { UringFile } from './file.js'
import { invalidArgType } from './errors.js'
import { openDescriptor } from './open-files.js'
import { openFlags } from './open-flags.js'
import { ops } from './operations.js'
import type { EngineChoice } from './options.js'
import { validateDirect } from './options.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'
import type { Ring } from './ring.js'
import { ringOf } from './ring.js'

export interface OpenOptions {
  /** Of a file that is made. Default 0o666. */
  mode?: string | number | undefined
  /** Another ring than the thread's shared one. */
  ring?: Ring | undefined
  /** Default 'auto'. */
  engine?: EngineChoice | undefined
  /** Ends the opening, with an AbortError. */
  signal?: AbortSignal | undefined
  /**
   * Past the page cache (O_DIRECT): reads and writes of any position, length and memory, but for those at the file's own
   * position. `true` fails with ERR_DIRECT_UNAVAILABLE where that is refused; with 'prefer' the file's `direct` is false
   * then. Default false.
   */
  direct?: DirectChoice | undefined
}

/** O_ACCMODE */
const accessMode = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR

/**
 * Opens a file. Rejects in Node's shape: `ENOENT: no such file or directory, open '/x'`.
 *
 * @param flags as in node:fs. Default 'r'
 * @param options the mode alone, as fs.promises.open takes it, or an object
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_URING_UNAVAILABLE by the promise
 */
export async function open(
  path: PathLike, flags?: string | number | null, options: OpenOptions | string | number | null = {}
): Promise<UringFile> {
  const given = openOptions(options)
  const { mode, signal, direct = false } = given
  validateDirect(direct)
  const ring = ringOf(given)
  ring.uses.refuseLate()
  const use = ring.uses.begin() // until the file has its own: a ring that closed in between would leave a descriptor that nobody can close
  try {
    const fd = await openDescriptor(ring, validPath(path), flags ?? 'r', mode ?? 0o666, signal)
    return direct === false ? new UringFile(ring, fd, null) : await openedDirect(ring, fd, validPath(path), openFlags(flags ?? 'r'), direct)
  } finally {
    use.leaving()
    use.left()
  }
}

async function openedDirect(ring: Ring, fd: number, path: string | Buffer, flags: number, choice: DirectChoice): Promise<UringFile> {
  try {
    return new UringFile(ring, fd, await directOf(ring, fd, path, flags, choice))
  } catch (error) {
    await ring.submit(ops.close(fd))
    throw error
  }
}

/** @throws ERR_INVALID_ARG_TYPE */
function openOptions(options: OpenOptions | string | number | null): OpenOptions {
  if (typeof options === 'string' || typeof options === 'number') return { mode: options }
  if (typeof options !== 'object') throw invalidArgType('options', 'of type string or number or an instance of Object', options)
  return options ?? {}
}

/** Null where direct IO is not to be had and only preferred. */
async function directOf(ring: Ring, fd: number, path: string | Buffer, flags: number, choice: DirectChoice): Promise<DirectFile | null> {
  return new Promise((resolve, reject) => {
    openDirect(ring, fd, flags & accessMode, path, (refused, direct) => {
      if (refused === null || choice === 'prefer') resolve(direct)
      else reject(refused)
    })
  })
}
