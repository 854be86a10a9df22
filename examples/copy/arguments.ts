/** The command line of uring-copy. */
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import { doctor } from './doctor.js'

/** The command line makes no sense: what is wrong with it. */
export class UsageError extends Error {}

/** What is told about a copy: a bar or lines, one line of JSON, or nothing. */
export type Report = 'progress' | 'json' | 'quiet'

export interface CopyOptions {
  source: string
  target: string
  /** Bytes of one read and of one write. */
  chunkSize: number
  /** Reads, and writes, in flight at once. */
  depth: number
  /** Whether an existing target is overwritten. */
  force: boolean
  report: Report
}

/**
 * More than the streams' own default: a whole file, hot or cold, takes less processor time. With 1M a hot copy may
 * be faster still, but as with dd bs=1M it is half as fast at other times, and it takes more memory.
 */
const chunkSizeDefault = '512K'
const depthDefault = 4
/** As much as the streams take. */
const depthMax = 1024
/** Larger chunks are no faster, and `depth` of them at once would be a lot of memory. */
const chunkSizeMax = 1024 ** 3

const help = `Usage: uring-copy [options] SOURCE TARGET
       uring-copy --doctor

Copies the file SOURCE to TARGET, or into TARGET under its own name if TARGET is
a directory. The mode bits are kept, less the umask.

  -f, --force          overwrite TARGET if it exists. Its old content is gone as
                       soon as the copy begins, and so is the whole file if the
                       copy fails or is interrupted
  -q, --quiet          no progress and no summary
      --json           no progress; at the end one line of JSON on standard
                       output
      --chunk-size N   bytes of one read and of one write, with K, M or G for
                       KiB, MiB or GiB (default ${chunkSizeDefault})
      --depth N        reads and writes in flight at once (default ${depthDefault})
      --doctor         tell which engine copies run on here, why, and what helps
  -h, --help           show this
      --version        show the version

Progress goes to standard error: a bar on a terminal, else one line per second.
Ctrl-C stops the copy and removes the partial target.

Exit status: 0 copied, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C,
143 ended by SIGTERM, 129 by SIGHUP.

URING_STREAMS_ENGINE=threads in the environment copies without io_uring.
`

/**
 * What to do, or a text to print instead.
 *
 * @throws UsageError
 */
export function parseArguments(args: string[]): CopyOptions | { text: string } {
  const { values, positionals } = parsed(args)
  if (values.help) return { text: help }
  if (values.version) return { text: `${version()}\n` }
  if (values.doctor) return { text: doctor() }
  if (positionals.length !== 2) {
    throw new UsageError(`SOURCE and TARGET are needed; paths given: ${positionals.length}`)
  }
  const [source, target] = positionals
  if (source === '' || target === '') throw new UsageError('an empty string is no path')
  return {
    source,
    target,
    chunkSize: parseBytes(values['chunk-size'] ?? chunkSizeDefault),
    depth: parseDepth(values.depth ?? String(depthDefault)),
    force: values.force ?? false,
    report: values.json ? 'json' : values.quiet ? 'quiet' : 'progress'
  }
}

/** parseArgs, whose errors are ours. */
function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        force: { type: 'boolean', short: 'f' },
        quiet: { type: 'boolean', short: 'q' },
        json: { type: 'boolean' },
        'chunk-size': { type: 'string' },
        depth: { type: 'string' },
        doctor: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' }
      }
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function parseBytes(text: string): number {
  const [, digits, unit] = /^(\d+)([KMG]?)$/i.exec(text) ?? []
  const bytes = Number(digits) * 1024 ** ' KMG'.indexOf(unit?.toUpperCase() || ' ')
  if (!(bytes >= 1 && bytes <= chunkSizeMax)) {
    throw new UsageError(`--chunk-size takes 1 to 1G, such as 65536, 256K or 1M, not '${text}'`)
  }
  return bytes
}

function parseDepth(text: string): number {
  const depth = /^\d+$/.test(text) ? Number(text) : NaN
  if (!(depth >= 1 && depth <= depthMax)) {
    throw new UsageError(`--depth takes a whole number from 1 to ${depthMax}, not '${text}'`)
  }
  return depth
}

function version(): string {
  // By the package's own name, so that it is found from wherever the compiler puts this file.
  return (createRequire(import.meta.url)('uring-streams/package.json') as { version: string }).version
}
