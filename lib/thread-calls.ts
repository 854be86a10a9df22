/** Operations by node:fs, or the addon's own calls in libuv's threads, that a caller's own `fs` has no part in. */
import type { BigIntStats } from 'node:fs'
import fs from 'node:fs'
import { allocate } from './file-calls.js'
import type { Request } from './engine.js'
import { AT_REMOVEDIR, Opcode } from './engine.js'
import { writeStatx } from './statx.js'
import { hasNoPath, pathIn, pathOf, withoutNul } from './thread-directories.js'

type Done = (error: NodeJS.ErrnoException | null, result?: number) => void

const calls: Partial<Record<number, (request: Request, done: Done) => void>> = {
  [Opcode.statx](request, done) {
    const found = (error: NodeJS.ErrnoException | null, stats: BigIntStats): void => {
      if (error === null) writeStatx(request.second!, stats)
      done(error)
    }
    if (hasNoPath(request)) fs.fstat(request.file!.fd, { bigint: true }, found)
    else fs.stat(pathOf(request), { bigint: true }, found)
  },
  [Opcode.ftruncate]: (request, done) => fs.ftruncate(request.file!.fd, Number(request.position), done),
  [Opcode.fallocate](request, done) {
    const { file, position, address, length } = request
    void allocate(file!.fd, Number(position), address, length).then(result => done(null, result)) // which has no error that throws
  },
  [Opcode.renameat](request, done) {
    const { second, length } = request
    fs.rename(pathOf(request), pathIn(length, withoutNul(second!)), done)
  },
  [Opcode.unlinkat](request, done) {
    if ((request.opFlags & AT_REMOVEDIR) !== 0) fs.rmdir(pathOf(request), done)
    else fs.unlink(pathOf(request), done)
  }
}

/** How node:fs does it, or undefined where it has nothing for it. */
export function threadCall({ opcode }: Request): ((request: Request, done: Done) => void) | undefined {
  return calls[opcode]
}
