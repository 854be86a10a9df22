/** Descriptors that an operation of the library opens and closes. */
import type { Left } from './collected.js'
import { warnOfClosing } from './collected.js'
import type { OpenFile } from './engine.js'
import { adopt } from './engine.js'
import { ops } from './operations.js'
import type { Ring } from './ring.js'
import type { RingUse } from './ring-uses.js'

/** A new descriptor, which the engine closes should its thread end before that is done. Rejects as `open` does. */
export async function openDescriptor(
  ring: Ring, path: string | Buffer, flags: string | number, mode: string | number, signal?: AbortSignal
): Promise<number> {
  const operation = ops.openat(path, flags, mode)
  operation.opFlags = adopt
  const { result } = await ring.submit(operation, { signal })
  return result
}

/** Opens a file for as long as one operation of the library takes. */
export async function openFile(ring: Ring, path: string | Buffer, flags: number, mode: number, signal?: AbortSignal): Promise<OpenFile> {
  return ring.engine.installLater(await openDescriptor(ring, path, flags, mode, signal))
}

export async function closeFile(ring: Ring, file: OpenFile): Promise<void> {
  ring.engine.forget(file)
  await ring.submit(ops.close(file.fd))
}

/** What a UringFile has open: closed by it, or when it was collected, with a warning as FileHandle has it. */
export class HeldFiles implements Left {
  private readonly _use: RingUse

  constructor(readonly ring: Ring, readonly files: readonly OpenFile[]) {
    this._use = ring.uses.begin()
  }

  async close(): Promise<void> {
    this._use.leaving()
    try {
      for (const file of this.files) await closeFile(this.ring, file)
    } finally {
      this._use.left()
    }
  }

  collected(): void {
    warnOfClosing(this.files.at(-1)!.fd, 'a file was not closed')
    this.close().catch(() => {}) // there is nobody to tell
  }
}
