/** What goes wrong only on rings whose completions are polled for. */
import { constants } from 'node:os'
import type { Request } from './engine.js'
import { Opcode } from './engine.js'
import { errnoError } from './errors.js'

const { EOPNOTSUPP, EINVAL } = constants.errno
const transfers: Record<number, string> = { [Opcode.read]: 'read', [Opcode.write]: 'write', [Opcode.writev]: 'write' }

/** A read or write that was refused gets an error that says what may be the matter with its file. */
export function explainPolled(request: Request, result: number): void {
  if (result !== -EOPNOTSUPP && result !== -EINVAL) return
  const syscall = transfers[request.opcode]
  if (syscall === undefined) return
  const error = errnoError(result, syscall)
  error.message += result === -EOPNOTSUPP
    ? ': the file was not opened with O_DIRECT, or its file system or device does not support polled IO (ioPoll)'
    : ': position, length or memory are not aligned for direct IO, or the file system does not support polled IO (ioPoll)'
  request.error = error
}
