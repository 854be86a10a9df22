/** What goes wrong only on rings whose completions are polled for. */
import { constants } from 'node:os'
import type { Request } from './engine.js'
import { Opcode } from './engine.js'
import { errnoError } from './errors.js'

const { EOPNOTSUPP, EINVAL } = constants.errno
const transfers: Record<number, string> = { [Opcode.read]: 'read', [Opcode.write]: 'write', [Opcode.writev]: 'write' }

/** A read or write that was refused gets an error that says what may be the matter with its file; an opening, that it never can be. */
export function explainPolled(request: Request, result: number): void {
  if (result !== -EOPNOTSUPP && result !== -EINVAL) return
  const { opcode } = request
  if (opcode === Opcode.openat) return explainOpening(request, result)
  const syscall = transfers[opcode]
  if (syscall === undefined) return
  const error = errnoError(result, syscall)
  error.message += result === -EOPNOTSUPP
    ? ': the file was not opened with O_DIRECT, or its file system or device does not support polled IO (ioPoll)'
    : ': position, length or memory are not aligned for direct IO, or the file system does not support polled IO (ioPoll)'
  request.error = error
}

/** Whatever the flags are: there is no openat to poll for. */
function explainOpening(request: Request, result: number): void {
  if (result !== -EINVAL) return
  const error = errnoError(result, 'open', request.path!)
  error.message += ': a ring with ioPoll opens no files, for the kernel polls reads and writes only; open it by another ring or node:fs'
  request.error = error
}
