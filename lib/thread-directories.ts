/** Paths of open directories: node:fs has no calls that take such a one, but Linux shows it in /proc. */
import fs from 'node:fs'
import type { OpenFile, Request } from './engine.js'
import { AT_EMPTY_PATH, Opcode } from './engine.js'
import { errnoOf } from './errors.js'

type Done = (error: NodeJS.ErrnoException | null, result?: number) => void

const [EBADF, ENOENT] = [errnoOf('EBADF'), errnoOf('ENOENT')]

/** Whether it is asked for by the descriptor alone. */
export function hasNoPath({ opcode, opFlags }: Request): boolean {
  return opcode === Opcode.statx && (opFlags & AT_EMPTY_PATH) !== 0
}

/** The open directories that its paths begin at; most requests have none. */
export function directoriesOf(request: Request): number[] {
  const { path, file, opcode, length, second } = request
  if (path === null || hasNoPath(request)) return []
  const first = file !== null && isRelative(path) ? [file.fd] : []
  return opcode === Opcode.renameat && length >= 0 && isRelative(withoutNul(second!)) ? [...first, length] : first
}

/** Others are looked up without a look at the directory: one of nothing is the name of nothing (ENOENT). */
function isRelative(path: string | Uint8Array): boolean {
  return path.length > 0 && path[0] !== '/' && path[0] !== 0x2f
}

/** A second path as it was given. */
export function withoutNul({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength - 1)
}

/** The path as any function finds it. */
export function pathIn(directory: number | undefined, path: string | Buffer): string | Buffer {
  if (directory === undefined || directory < 0 || !isRelative(path)) return path
  const place = `/proc/self/fd/${directory}/` // not by node:path, which would resolve a '..' without looking
  return typeof path === 'string' ? place + path : Buffer.concat([Buffer.from(place), path])
}

export function pathOf({ path, file }: { path: string | Buffer | null, file: OpenFile | null }): string | Buffer {
  return pathIn(file?.fd, path!)
}

/** Answers with a number alone: the error is then made of the paths that the caller gave. */
export function numbered(directories: readonly number[], done: Done): Done {
  return (error, result) => {
    if (error === null) return done(null, result)
    const errno = error.errno ?? errnoOf(error.code ?? '')
    if (errno !== ENOENT) return done(null, errno)
    findClosed(directories, closed => done(null, closed ? EBADF : ENOENT))
  }
}

/** What is not open is not in /proc either. */
function findClosed([first, ...others]: readonly number[], found: (closed: boolean) => void): void {
  if (first === undefined) return found(false)
  fs.fstat(first, error => error !== null ? found(true) : findClosed(others, found))
}
