/** The command line of uring-copy. */
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import type { CopyOptions as FileOptions } from '../../lib/index.js'
import { doctor, doctorInJson } from './doctor.js'

/** The command line makes no sense: what is wrong with it. */
export class UsageError extends Error {
  readonly code = 'ERR_USAGE'
}

/** What is told about a copy: a bar or lines, one line of JSON, or nothing. */
export type Report = 'progress' | 'json' | 'quiet'

/** What of copyFile's options the command line sets. */
export type FileChoices = Pick<FileOptions,
  'chunkSize' | 'depth' | 'force' | 'direct' | 'flush' | 'atomic' | 'preserve' | 'reflink' | 'dropCache' | 'bytesPerSecondMax'>

export interface CopyOptions extends FileChoices {
  /** The first of the sources. */
  source: string
  target: string
  report: Report
  /** All of them; default: the one. */
  sources?: string[]
  /** Directories with all that is in them. */
  recursive?: boolean
  /** Reads everything back, from the disk if possible, and compares. */
  verify?: boolean
  /** Only tells what would be done. */
  dryRun?: boolean
}

/** As much as the streams take. */
const depthMax = 1024
/** Larger chunks are no faster, and `depth` of them at once would be a lot of memory. */
const chunkSizeMax = 1024 ** 3
/** Bytes that direct chunks are multiples of, as copyFile says. */
const directUnit = 4096

const help = `Usage: uring-copy [options] SOURCE TARGET
       uring-copy [options] SOURCE... DIRECTORY
       uring-copy --doctor

Copies the file SOURCE to TARGET, or into TARGET under its own name if TARGET is
a directory. The mode bits are kept, less the umask, and holes stay holes.

  -f, --force          overwrite TARGET if it exists. Its old content is gone as
                       soon as the copy begins, and so is the whole file if the
                       copy fails or is interrupted; but see --atomic
  -r, --recursive      copy directories with all that is in them, many small
                       files at once; symbolic links are copied as links.
                       FIFOs, sockets and devices are skipped, never opened:
                       a line names each, and the exit status is 1
      --atomic         TARGET is the whole old or the whole new file at any time
      --fsync          end only when everything is on the disk
  -p, --preserve       keep all mode bits, times, and as far as they can be kept
                       owners and extended attributes
      --reflink WHEN   share the source's blocks: always, auto or never
                       (default auto: where the file system can)
      --direct         past the page cache, where the file system can
      --drop-cache     leave nothing of the files in the page cache
      --limit N        read so many bytes per second at most, such as 200M
      --verify         sync TARGET, read everything back and compare checksums:
                       from the disk, or where the file system has no direct
                       IO from the page cache
      --dry-run        tell what would be done, or why it would fail at once,
                       and do nothing
  -q, --quiet          no progress and no summary
      --json           no progress; at the end one line of JSON on standard
                       output: the figures, or {"error":{"code","message"}}
      --chunk-size N   bytes of one read and of one write, with K, M or G for
                       KiB, MiB or GiB (default 1M)
      --depth N        reads and writes in flight at once (default 6, 8 with
                       --direct)
      --doctor         tell which engine copies run on, why, and what helps;
                       with --json in one line of JSON
  -h, --help           show this
      --version        show the version

Progress goes to standard error: a bar on a terminal, else one line per second.
With --verify, of the syncing and the verifying too.
Ctrl-C stops the copy and removes the partial target. The first file that cannot
be copied ends it.

Exit status: 0 copied, 1 failed or skipped something, 2 wrong usage,
130 interrupted by Ctrl-C, 143 ended by SIGTERM, 129 by SIGHUP.

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
  if (values.doctor) return { text: values.json ? doctorInJson() : doctor() }
  if (positionals.length < 2) {
    throw new UsageError(`SOURCE and TARGET are needed; paths given: ${positionals.length}`)
  }
  if (positionals.includes('')) throw new UsageError('an empty string is no path')
  // What is no UTF-8 has been replaced by Node, and names another file.
  const foreign = positionals.find(path => path.includes('\ufffd'))
  if (foreign !== undefined) throw new UsageError(`'${foreign}' is no UTF-8: Node.js does not pass it on; copy its folder with --recursive`)
  const [sources, target] = [positionals.slice(0, -1), positionals[positionals.length - 1]]
  return {
    source: sources[0],
    sources,
    target,
    chunkSize: given(values['chunk-size'], text => parseChunkSize(text, values.direct ?? false)),
    depth: given(values.depth, parseDepth),
    force: values.force ?? false,
    direct: values.direct ? 'prefer' : undefined,
    flush: values.fsync ?? false,
    atomic: values.atomic ?? false,
    preserve: values.preserve ?? false,
    reflink: given(values.reflink, parseReflink),
    dropCache: values['drop-cache'] ?? false,
    bytesPerSecondMax: given(values.limit, text => parseBytes('--limit', text, Number.MAX_SAFE_INTEGER)),
    recursive: values.recursive ?? false,
    verify: values.verify ?? false,
    dryRun: values['dry-run'] ?? false,
    report: values.json ? 'json' : values.quiet ? 'quiet' : 'progress'
  }
}

function given<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text)
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
        recursive: { type: 'boolean', short: 'r' },
        atomic: { type: 'boolean' },
        fsync: { type: 'boolean' },
        preserve: { type: 'boolean', short: 'p' },
        reflink: { type: 'string' },
        direct: { type: 'boolean' },
        'drop-cache': { type: 'boolean' },
        limit: { type: 'string' },
        verify: { type: 'boolean' },
        'dry-run': { type: 'boolean' },
        'chunk-size': { type: 'string' },
        depth: { type: 'string' },
        doctor: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' }
      }
    })
  } catch (error) {
    throw new UsageError(inShort((error as Error).message))
  }
}

/** One line: what follows in Node's words is how to write values and paths that begin with '-', at length. */
function inShort(message: string): string {
  const [first] = message.split(/\.\s/)
  return first.replace(/argument is ambiguous$/, 'argument missing').replace(/^Unknown option .*/s, '$& (after -- it is a path)')
}

function parseBytes(option: string, text: string, max: number): number {
  const [, digits, unit] = /^(\d+)([KMG]?)$/i.exec(text) ?? []
  const bytes = Number(digits) * 1024 ** ' KMG'.indexOf(unit?.toUpperCase() || ' ')
  if (bytes >= 1 && bytes <= max) return bytes
  const range = max === chunkSizeMax ? '1 to 1G' : 'a number of bytes'
  throw new UsageError(`${option} takes ${range}, such as 65536, 256K or 1M, not '${text}'`)
}

function parseChunkSize(text: string, direct: boolean): number {
  const bytes = parseBytes('--chunk-size', text, chunkSizeMax)
  if (!direct || bytes % directUnit === 0) return bytes
  throw new UsageError(`--chunk-size takes a multiple of 4K with --direct, not '${text}'`)
}

function parseReflink(text: string): 'always' | 'auto' | 'never' {
  if (text === 'always' || text === 'auto' || text === 'never') return text
  throw new UsageError(`--reflink takes always, auto or never, not '${text}'`)
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
