/** Every error the library makes, in the shape of Node's own. */
import { getSystemErrorMap, inspect } from 'node:util'

const system = getSystemErrorMap()
const errnos = new Map([...system].map(([errno, [code]]) => [code, errno]))

/** An error of a system call, as node:fs makes it. */
export interface SystemError extends NodeJS.ErrnoException {
  errno: number
  code: string
  syscall: string
  /** Of a renaming. */
  dest?: string
}

/**
 * The error of a failed system call: `ENOENT: no such file or directory, open '/x'`.
 *
 * @param errno negative, as the kernel returns it
 * @param syscall what failed, in node:fs's words: `open`, `read`, `write`, `fsync`, `close`
 */
export function errnoError(errno: number, syscall: string, path?: string | Buffer, dest?: string | Buffer): SystemError {
  const [code, description] = system.get(errno) ?? [`Unknown system error ${errno}`, 'unknown error']
  const place = path === undefined ? '' : ` '${path.toString()}'`
  const target = dest === undefined ? '' : ` -> '${dest.toString()}'`
  const error = new Error(`${code}: ${description}, ${syscall}${place}${target}`) as SystemError
  error.errno = errno
  error.code = code
  error.syscall = syscall
  if (path !== undefined) error.path = path.toString()
  if (dest !== undefined) error.dest = dest.toString()
  return error
}

/** A failure of the system's, told of with another path: that of the file which its caller knows. */
export function named(error: Error & Partial<SystemError>, path: string | Buffer): Error {
  return typeof error.errno === 'number' ? errnoError(error.errno, error.syscall!, path) : error
}

/** The negative number of an error's code, which differs from platform to platform; that of EIO for a code of nobody's. */
export function errnoOf(code: string): number {
  return errnos.get(code) ?? errnos.get('EIO')!
}

function coded<E extends Error>(error: E, code: string): E & { code: string } {
  // Node shows the code in the stack only; `name` stays the plain class name.
  const { name } = error
  error.name = `${name} [${code}]`
  // Reading the stack is what freezes that name into it.
  void error.stack
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true, enumerable: false })
  return Object.assign(error, { code })
}

export function invalidArgType(name: string, expected: string, actual: unknown): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const received = actual == null ? String(actual) : describe(actual)
  return coded(
    new TypeError(`The "${name}" ${kind} must be ${expected}. Received ${received}`), 'ERR_INVALID_ARG_TYPE')
}

function describe(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name}`
  if (typeof value === 'object') return `an instance of ${value?.constructor?.name ?? 'Object'}`
  const seen = typeof value === 'string' && value.length > 28 ? `${value.slice(0, 25)}...` : value // as Node cuts it
  return `type ${typeof value} (${inspect(seen)})`
}

/** Characters of a value in a message: a Ring has a thousand. */
const seenMax = 128

export function invalidArgValue(name: string, value: unknown, reason = 'is invalid'): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const seen = inspect(value)
  const received = seen.length > seenMax ? `${seen.slice(0, seenMax)}...` : seen // as Node cuts it
  return coded(new TypeError(`The ${kind} '${name}' ${reason}. Received ${received}`), 'ERR_INVALID_ARG_VALUE')
}

export function outOfRange(name: string, range: string, value: number | bigint): RangeError {
  const isLong = (typeof value === 'bigint' || Number.isInteger(value)) && Math.abs(Number(value)) > 2 ** 32
  const received = inspect(value, { numericSeparator: isLong }) // as Node writes it: 9_007_199_254_740_992
  return coded(new RangeError(`The value of "${name}" is out of range. It must be ${range}. Received ${received}`), 'ERR_OUT_OF_RANGE')
}

export function invalidState(message: string): Error {
  return coded(new Error(`Invalid state: ${message}`), 'ERR_INVALID_STATE')
}

export function ringClosed(): Error {
  return invalidState('the ring is closed')
}

export function notImplemented(method: string): Error {
  return coded(new Error(`The ${method} method is not implemented`), 'ERR_METHOD_NOT_IMPLEMENTED')
}

export function streamDestroyed(method: string): Error {
  return coded(new Error(`Cannot call ${method} after a stream was destroyed`), 'ERR_STREAM_DESTROYED')
}

/** @param cause the signal's reason */
export function abortError(cause?: unknown): Error {
  const options = cause === undefined ? undefined : { cause }
  return Object.assign(new Error('The operation was aborted', options), { name: 'AbortError', code: 'ABORT_ERR' })
}

/** Why a file cannot be read or written past the page cache. */
export function directUnavailable(code: string, reason: string, path?: string | Buffer): Error & { code: string } {
  const place = path === undefined ? '' : ` of '${path.toString()}'`
  const remedy = 'direct: \'prefer\' goes on through the page cache'
  return coded(new Error(`Direct IO${place} is not available (${code}): ${reason}; ${remedy}`), 'ERR_DIRECT_UNAVAILABLE')
}

/** Why there is no io_uring here, and what helps. */
export function uringUnavailable(code: string, reason: string): Error & { code: string } {
  const error = new Error(`io_uring is not available (${code}): ${reason}`)
  return coded(error, 'ERR_URING_UNAVAILABLE')
}
