/** Streams that nobody has any more: their files are closed when the garbage collector finds out. */

import type { StreamFile } from './stream-file.js'

/** What a stream leaves behind: it must not lead back to the stream. */
export interface Left {
  /** The stream was collected; called once. */
  collected(): void
}

const registry = new FinalizationRegistry<Left>(left => left.collected())

/** Tells `left` when `stream` is collected, until `unwatch`. */
export function watchCollection(stream: WeakKey, left: Left): void {
  registry.register(stream, left, left)
}

export function unwatchCollection(left: Left): void {
  registry.unregister(left)
}

/** As FileHandle does, where the file is the stream's to close. */
export function warnOfCollection({ file, given, options }: StreamFile, why: string): void {
  if (given !== null && options.autoClose === false) return
  process.emitWarning(`Closing file descriptor ${file!.fd} on garbage collection: ${why}`)
}
