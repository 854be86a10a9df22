/** open: a path becomes a UringFile. */
import { constants } from 'node:fs'
import type { DirectChoice, DirectFile } from './direct.js'
import { openDirect } from './direct.js'
import { UringFile } from './file.js'
import { openDescriptor } from './open-files.js'
import { openFlags } from './open-flags.js'
import { ops } from './operations.js'
import type { EngineChoice } from './options.js'
import { validateDirect } from './options.js'
import type { PathLike } from './path.js'
import { validPath } from './path.js'
import { Ring } from './ring.js'

export interface OpenOptions {
  /** Of a file that is made. Default 0o666. */
  mode?: string | number
  /** Another ring than the thread's shared one. */
  ring?: Ring
  /** Default 'auto'. */
  engine?: EngineChoice
  signal?: AbortSignal
  /**
   * Past the page cache (O_DIRECT): reads and writes of any position, length and memory, but for those at the file's own
   * position. `true` fails with ERR_DIRECT_UNAVAILABLE where that is refused; with 'prefer' the file's `direct` is false
   * then. Default false.
   */
  direct?: DirectChoice
}

/** O_ACCMODE */
const accessMode = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR

/**
 * Opens a file. Rejects in Node's shape: `ENOENT: no such file or directory, open '/x'`.
 *
 * @param flags as in node:fs. Default 'r'
 */
export async function open(path: PathLike, flags: string | number = 'r', options: OpenOptions = {}): Promise<UringFile> {
  const { mode = 0o666, engine, signal, direct = false } = options
  validateDirect(direct)
  const ring = options.ring ?? Ring.shared(engine)
  const fd = await openDescriptor(ring, validPath(path), flags, mode, signal)
  if (direct === false) return new UringFile(ring, fd, null)
  try {
    return new UringFile(ring, fd, await directOf(ring, fd, validPath(path), openFlags(flags), direct))
  } catch (error) {
    await ring.submit(ops.close(fd))
    throw error
  }
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
