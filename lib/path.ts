/** Paths as callers give them. */
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import { invalidArgType, invalidArgValue } from './errors.js'

export type PathLike = string | Buffer | URL

/** As node:fs knows them: those of another realm (a vm context, jest, jsdom) are instances of classes of their own. */
function isURL(value: any): value is URL {
  return Boolean(value?.href && value.protocol && value.auth === undefined && value.path === undefined)
}

/** A path as node:fs keeps it. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_INVALID_URL_SCHEME */
export function validPath(path: unknown): string | Buffer {
  const plain = isURL(path) ? fileURLToPath(path) : path
  if (typeof plain !== 'string' && !types.isUint8Array(plain)) {
    throw invalidArgType('path', 'of type string or an instance of Buffer or URL', path)
  }
  if (plain.includes('\0' as never) || (typeof plain !== 'string' && plain.includes(0))) {
    throw invalidArgValue('path', path, 'must be a string, Uint8Array, or URL without null bytes')
  }
  if (typeof plain === 'string' || Buffer.isBuffer(plain)) return plain
  return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength)
}

/** Another path made of one. Paths of bytes go through node:path by a charset in which no byte is lost. */
export function mapPath(path: string | Buffer, change: (path: string) => string): string | Buffer {
  return typeof path === 'string' ? change(path) : Buffer.from(change(path.toString('latin1')), 'latin1')
}
