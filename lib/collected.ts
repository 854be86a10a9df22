/** Streams and files that nobody has any more: what they have open is closed when the garbage collector finds out. */

import type { StreamFile } from './stream-file.js'

/** What a stream or file leaves behind: it must not lead back to its owner. */
export interface Left {
  /** The owner was collected; called once. */
  collected(): void
}

const registry = new FinalizationRegistry<Left>(left => left.collected())

/** Tells `left` when `owner` is collected, until `unwatch`. */
export function watchCollection(owner: WeakKey, left: Left): void {
  registry.register(owner, left, left)
}

export function unwatchCollection(left: Left): void {
  registry.unregister(left)
}

/** As FileHandle does, where the file is the stream's to close. */
export function warnOfCollection({ file, given, options }: StreamFile, why: string): void {
  if (given !== null && options.autoClose === false) return
  warnOfClosing(file!.fd, why)
}

export function warnOfClosing(fd: number, why: string): void {
  process.emitWarning(`Closing file descriptor ${fd} on garbage collection: ${why}`)
}
