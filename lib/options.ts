/** Every default, limit and validation, with units. */
import type { DirectChoice } from './direct.js'
import type { FileFunctions } from './engine-threads.js'
import { invalidArgType, invalidArgValue, outOfRange } from './errors.js'
import type { WakeupMode } from './native.js'
import type { Ring } from './ring.js'

/** Bytes of one read or write, */
export const chunkSizeDefault = 256 * 1024
/**
 * and of one that fills a buffer which is used again. Memory of its own is dearer the larger it is (page faults), a
 * lease is dearer the smaller: leased reads of a cached file in pieces of 256 KiB took 1.07x as long, in pieces of
 * 512 KiB 1.03x; a pipe in pieces of 256 KiB 1.3x.
 */
export const chunkSizeLeased = 1024 * 1024
/**
 * and of one write. A kernel worker does it, and has to be woken: with 256 KiB a GiB took 1.08x as long; with 1 MiB
 * 0.95x, for twice the memory.
 */
export const chunkSizeWritten = 512 * 1024
/**
 * and of a Web stream's chunk, which passes from one allocation to the next: 512 MiB through a TransformStream took
 * 210-280 ms in pieces of 128 KiB, 304-342 ms in pieces of 256 or 512 KiB, and 4 MiB less memory. Without one it is the same.
 */
export const chunkSizeWeb = 128 * 1024
/** Bytes of one direct read or write, and how many are in flight: nothing is read ahead but by ourselves. */
export const chunkSizeDirect = 1024 * 1024
export const depthDirect = 8
/** One operation carries at most this many bytes (MAX_RW_COUNT of the kernel). */
export const chunkSizeMax = 0x7fff_f000
/** So much one read or write carries at most; longer ones are split. */
export const operationBytesMax = chunkSizeMax
/** Bytes of memory that is registered at once (a limit of the kernel). */
export const registeredBytesMax = 1024 * 1024 * 1024
/** Operations that one stream keeps in flight. */
export const depthDefault = 4
export const depthMax = 1024
/** Entries of a ring's submission queue and of its completion queue. */
export const entriesDefault = 512
export const cqEntriesDefault = 4096
/** IORING_MAX_ENTRIES of the kernel. */
export const entriesMax = 32768

/** 'auto' is what the environment variable URING_STREAMS_ENGINE says; without it io_uring, or else libuv's threads. */
export type EngineChoice = 'auto' | 'uring' | 'threads'
/**
 * 'owned': each chunk is the consumer's to keep. 'leased': a chunk is valid until the next one is asked
 * for, then detached.
 */
export type BufferOwnership = 'owned' | 'leased'

export interface RingOptions {
  /** Entries of the submission queue: how many operations one system call takes along. Default 512, or `cqEntries` if that is fewer. */
  entries?: number | undefined
  /** Entries of the completion queue: how many may be in flight. Default twice `entries`, 4096 if neither is given. */
  cqEntries?: number | undefined
  /** Default 'auto'. */
  engine?: EngineChoice | undefined
  /**
   * What the kernel allows at most is taken where more is asked for. With false that is an error. Default true.
   * Sizes are rounded up to powers of two either way.
   */
  clamp?: boolean | undefined
  /**
   * A thread of the kernel's takes operations from the submission queue by looking at it again and again: no system
   * call submits, at the price of that thread's processor time. Chains of a batch hold at most 8 operations then.
   * The thread keeps the credentials of the ring's creation. Linux 5.11. Default false.
   */
  sqPoll?: boolean | SqPollOptions | undefined
  /**
   * Completions are looked for, not announced by interrupts: for files opened with O_DIRECT (`fs.constants.O_DIRECT`) on
   * devices with polled queues. Only reads and writes (and nop) are possible; the kernel answers EINVAL to others.
   * While something is in flight the event loop does not sleep, and it is never blocked. Default false.
   */
  ioPoll?: boolean | undefined
  /**
   * Shares the polling thread of another ring, where both have `sqPoll`. Otherwise it shares nothing: since Linux 5.12
   * the kernel's workers belong to the thread that submits, whichever ring it uses.
   */
  attach?: Ring | undefined
  /**
   * How many of the kernel's workers may serve this thread: they are its own, so the limit is that of all its
   * rings (with `sqPoll`, of the polling thread). Throws where the kernel refuses. Linux 5.15.
   */
  workersMax?: WorkerLimits | undefined
  /**
   * How the event loop learns of completions: it polls the ring's own descriptor ('ring', the fastest), an eventfd
   * with completions deferred until asked for ('eventfd'), or a thread waits in the kernel ('thread'). Default 'ring'.
   */
  wakeup?: WakeupMode | undefined
  /** A caller's own functions instead of an engine. */
  fs?: FileFunctions | undefined
}

export interface SqPollOptions {
  /** Milliseconds without work after which the polling thread sleeps until the next submission. Default: the kernel's, a second. */
  idleMs?: number | undefined
  /** The processor it runs on. Default any. */
  cpu?: number | undefined
}

export interface WorkerLimits {
  /** For files and block devices, whose operations end. 0, the default, leaves the limit as it is. */
  bounded?: number | undefined
  /** For what may never end: pipes, sockets. 0, the default, leaves the limit as it is. */
  unbounded?: number | undefined
}

/** What every stream of this library takes. */
export interface StreamOptions {
  /**
   * Past the page cache (O_DIRECT). `start`, `end` and all lengths may be what they like: more is read than asked for, and
   * what is no whole unit is written through the page cache. The stream fails with ERR_DIRECT_UNAVAILABLE where that is
   * refused; with 'prefer' it goes on without, and its property `direct` is false. Default false.
   */
  direct?: DirectChoice | undefined
  /**
   * Bytes of one read or write, up to 2147479552. Default 256 KiB to read (a Web stream 128 KiB), 1 MiB into leased buffers
   * and into a pipe to one of our writers, 512 KiB to write, 1 MiB direct. Of node streams a `highWaterMark` sets it, where
   * it is not given itself.
   */
  chunkSize?: number | undefined
  /** Another ring than the thread's shared one. */
  ring?: Ring | undefined
  /** Default 'auto'. */
  engine?: EngineChoice | undefined
}

export function validateInteger(value: unknown, name: string, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value)
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value)
}

/** A position in a file: an integer, or a bigint beyond 2^53. */
export function validatePosition(value: unknown, name = 'position'): void {
  if (typeof value !== 'bigint') return validateInteger(value, name, 0)
  if (value < 0n || value > 2n ** 63n - 1n) throw outOfRange(name, '>= 0 && <= 2 ** 63 - 1', value)
}

export function validateFd(fd: unknown, name = 'fd'): void {
  validateInteger(fd, name, 0, 2 ** 31 - 1)
}

export function validateFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value)
}

export function validateBoolean(value: unknown, name: string): void {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'of type boolean', value)
}

/** @throws ERR_INVALID_ARG_VALUE */
export function validateDirect(direct: unknown): void {
  if (direct !== undefined && direct !== true && direct !== false && direct !== 'prefer') {
    throw invalidArgValue('options.direct', direct, 'must be true, false or \'prefer\'')
  }
}

export function validateOneOf(value: unknown, name: string, allowed: readonly string[]): void {
  if (!allowed.includes(value as string)) {
    throw invalidArgValue(name, value, `must be one of: ${allowed.map(each => `'${each}'`).join(', ')}`)
  }
}

export function engineChoice(choice: EngineChoice = 'auto'): EngineChoice {
  validateOneOf(choice, 'options.engine', ['auto', 'uring', 'threads'])
  if (choice !== 'auto') return choice
  const wanted = process.env.URING_STREAMS_ENGINE || 'auto' // set to nothing it is not set
  validateOneOf(wanted, 'URING_STREAMS_ENGINE', ['auto', 'uring', 'threads'])
  return wanted as EngineChoice
}

export interface QueueSizes { entries: number, cqEntries: number }

/** A user whose RLIMIT_MEMLOCK is small gets smaller queues: kernels that count them answer ENOMEM. */
const smallerQueues: QueueSizes[] = [{ entries: 256, cqEntries: 1024 }, { entries: 64, cqEntries: 128 }]

/** The queue sizes of a ring, in the order to try them; the kernel rounds all up to powers of two. */
export function queueSizes({ entries, cqEntries, clamp = true }: RingOptions): QueueSizes[] {
  const max = clamp ? Number.MAX_SAFE_INTEGER : entriesMax
  if (entries !== undefined) validateInteger(entries, 'options.entries', 1, max)
  if (cqEntries !== undefined) validateInteger(cqEntries, 'options.cqEntries', 1)
  const queue = entries ?? Math.min(entriesDefault, cqEntries ?? entriesDefault)
  const completions = cqEntries ?? (entries === undefined ? cqEntriesDefault : entries * 2)
  validateInteger(completions, 'options.cqEntries', queue, max * 2)
  // The engine keeps one completion for itself.
  const wanted = { entries: Math.min(queue, entriesMax), cqEntries: Math.min(Math.max(completions, 2), entriesMax * 2) }
  return entries === undefined && cqEntries === undefined ? [wanted, ...smallerQueues] : [wanted]
}

/** `chunkSize`, else `highWaterMark`, else the default. */
export function chunkSizeOf(options: { chunkSize?: number, highWaterMark?: number, direct?: DirectChoice }, buffered: number): number {
  const otherwise = options.direct === undefined || options.direct === false ? buffered : chunkSizeDirect
  if (options.chunkSize !== undefined) {
    validateInteger(options.chunkSize, 'options.chunkSize', 1, chunkSizeMax)
    return options.chunkSize
  }
  const { highWaterMark } = options
  // A bad highWaterMark is for node:stream to refuse, in its own words; 0 means one byte at a time there.
  if (highWaterMark == null || !Number.isInteger(highWaterMark) || highWaterMark < 0) return otherwise
  return Math.min(Math.max(highWaterMark, 1), chunkSizeMax)
}

export function depthOf(depth: number | undefined, name: string, direct: DirectChoice = false): number {
  if (depth === undefined) return direct === false ? depthDefault : depthDirect
  validateInteger(depth, name, 1, depthMax)
  return depth
}

export type { FileFunctions }

/** A stream's options: a string is the encoding, as with fs streams. @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
export function streamOptions<T extends { encoding?: BufferEncoding | null }>(options: T | string | null | undefined): T {
  if (options == null || options === '' || typeof options === 'function') return {} as T // as node:fs has it
  const given = {} as T
  if (typeof options === 'string') given.encoding = options as BufferEncoding
  else if (typeof options === 'object') for (const key in options) given[key] = options[key] // inherited ones too
  else throw invalidArgType('options', 'of type string or an instance of Object', options)
  const { encoding } = given
  if (encoding && !Buffer.isEncoding(encoding)) throw invalidArgValue('encoding', encoding, 'is invalid encoding')
  return given
}
