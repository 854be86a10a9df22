/** Between the command line and copyFile. */
import type { FileChoices } from './arguments.js'

/** What of the command line's choices is for each file. */
export function fileOptions(options: FileChoices): FileChoices {
  const { chunkSize, depth, force, direct, flush, atomic, reflink, dropCache, bytesPerSecondMax } = options
  // As cp -a: nobody but root can give files away, and not every file system has attributes.
  const preserve = options.preserve === true ? { mode: true, ownership: 'prefer', timestamps: true, xattrs: 'prefer' } as const : false
  return { chunkSize, depth, force, direct, flush, atomic, preserve, reflink, dropCache, bytesPerSecondMax }
}

/** What to tell of a failure: the file that could not be read or written, and what to do. */
export function explained(error: NodeJS.ErrnoException & { notRemoved?: Error }): Error {
  const { code, syscall, notRemoved } = error
  const { message } = error.cause instanceof Error ? error.cause : error
  const help = remedy(code, syscall)
  return Object.assign(new Error(message + help + stillThere(error)), { code, notRemoved })
}

/** What to tell of a partial target that could not be removed. */
export function stillThere({ notRemoved }: { notRemoved?: Error }): string {
  return notRemoved === undefined ? '' : ` (the partial target is still there: ${notRemoved.message})`
}

function remedy(code?: string, syscall?: string): string {
  if (code === 'EEXIST') return ' (--force overwrites it)'
  if (code === 'EISDIR' && syscall === 'read') return ' (--recursive copies it)'
  if (syscall === 'ioctl') return ' (--reflink auto copies what cannot be shared)'
  return ''
}
