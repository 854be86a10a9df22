/** The interface that everything above speaks: requests, and what runs them. */
import type { CopyPiece, CopyRange } from './copy-range.js'

/** What to do; the numbers are the kernel's (IORING_OP_*). */
export const Opcode = {
  nop: 0, writev: 2, fsync: 3, pollAdd: 6, timeout: 11, cancel: 14, linkTimeout: 15, fallocate: 17, openat: 18, close: 19, statx: 21,
  read: 22, write: 23, fadvise: 24, send: 26, recv: 27, splice: 30, renameat: 35, unlinkat: 36, ftruncate: 55
} as const

/** With those that an engine chooses by itself. */
export const allOperations = { ...Opcode, readFixed: 4, writeFixed: 5 } as const

const names = new Map<number, string>(Object.entries(Opcode).map(([name, opcode]) => [opcode, name]))

/** The kind of a request, in the words of `ops`. */
export function operationName(opcode: number): string {
  return names.get(opcode) ?? String(opcode)
}

/** Flags of a request: after everything before it is done, */
export const IOSQE_IO_DRAIN = 2
/** the next one after this has succeeded, */
export const IOSQE_IO_LINK = 4
/** the next one after this has ended, */
export const IOSQE_IO_HARDLINK = 8
/** let a worker of the kernel's do it from the start. */
export const IOSQE_ASYNC = 16

/** For openat: the engine closes the file if its thread ends before it is closed by a request. */
export const adopt = 1

/** fsync_flags: only the data and what is needed to find it (IORING_FSYNC_DATASYNC). */
export const FSYNC_DATASYNC = 1

/** Of a statx: the file is the descriptor itself. */
export const AT_EMPTY_PATH = 0x1000
/** Of an unlinkat: it is a directory. */
export const AT_REMOVEDIR = 0x200

/** Flags of a write (preadv2(2)): it is over when its data is on the disk, */
export const RWF_DSYNC = 2
/** or everything that belongs to the file. */
export const RWF_SYNC = 4

/** A position that means: wherever the file's own position is. */
export const currentPosition = -1

/** An open file as operations use it. */
export interface OpenFile {
  readonly fd: number
  /** Its index among the ring's fixed files, or -1. */
  readonly index: number
  /** Whose index that is. */
  readonly engine?: Engine
  /** Told of each operation while it has no index: it may get one. */
  used?(): void
}

/** What a window must know of a file to plan its operations. */
export interface FileFacts {
  regular: boolean
  /** A block device. */
  block: boolean
  /** Opened with O_APPEND. */
  append: boolean
  /** In bytes; a hint, for files grow and shrink. */
  size: number
  /** Of the descriptor itself; -1 where there is none (pipes, terminals). */
  position: number
  /** Bytes on which direct IO begins in memory and in the file; 0: there is none; -1: nobody knows. */
  directAlignment: number
}

/** What is known of a file before anyone has looked. */
export const noFacts: FileFacts = { regular: false, block: false, append: false, size: 0, position: -1, directAlignment: -1 }

/** Memory of an engine's that is filled and emptied again and again. */
export interface EngineBuffer {
  /** Whose arena it is in; null when it is ordinary memory. */
  readonly engine: Engine | null
  readonly byteLength: number
  /** Its offset in the registered arena, or -1. */
  readonly arenaOffset: number
  /** Its bytes, where JavaScript may see them; null in the arena, which is seen through leases. */
  readonly bytes: Uint8Array | null
  /** `length` bytes from `offset` on, which is 0 by default, as a Buffer until `reclaim`. */
  lend(length: number, offset?: number): Buffer
  /**
   * Takes back what was lent: every view of it has length 0 afterwards. Gives the buffer to go on with: another one, if
   * the borrower has transferred the memory away, which is nobody's to write to then.
   */
  reclaim(lent: Buffer): EngineBuffer
  /** Copies bytes from `offset` on to the beginning of `target`, as far as it has room. */
  copyTo(target: Uint8Array, offset: number, bytes: number): number
  /** Gives the memory back to where it came from. Nothing may be in flight or lent. */
  free(): void
}

/**
 * One operation and what happens at its end. From start to completion it owns what it names:
 * the file stays open, and the memory is neither freed nor reused.
 */
export abstract class Request {
  declare opcode: number
  /** IOSQE_* */
  declare flags: number
  /** The operation's own: RWF_*, MSG_*, AT_*, fsync's; `adopt` for openat. */
  declare opFlags: number
  declare file: OpenFile | null
  /** Bytes to move; the mode for openat; the second path's directory for renameat. */
  declare length: number
  /** In the file; open flags for openat, events for poll. */
  declare position: number | bigint
  /** JavaScript's own memory, */
  declare memory: Uint8Array | null
  /** or an engine's buffer; */
  declare buffer: EngineBuffer | null
  /** either from this byte on. */
  declare offset: number
  /** Its place in the in-flight table; -1 when it is not in flight. The engine's. */
  declare slot: number

  /** Relative paths are of the working directory, or of an open one: `file`. */
  declare path: string | Buffer | null
  /** The path as the kernel reads it. */
  declare pathBytes: Uint8Array | null
  /** A second address, instead of a position. */
  declare second: Uint8Array | null
  /** What to write, of a vectored write. */
  declare vector: Uint8Array[] | null
  /** The descriptor that a splice takes from. */
  declare extra: number
  /** A number where other operations have an address; -1 stands for none. */
  declare address: number
  /** Flags and mode as the caller gave them, for engines that want names. */
  declare openArguments: [flags: string | number, mode: string | number] | null
  /** Set by an engine that has more to say than an errno (a caller's own `fs`). */
  declare error: Error | null
  /** Neighbours in the queue of those not yet admitted, and whether it is there. The ring's. */
  declare next: Request | null
  declare previous: Request | null
  declare queued: boolean
  /** How often in a row its file was not ready. */
  declare retries: number
  /** Of a copy's write that is linked to its read: what the engine may go on with by itself, */
  declare range: CopyRange | null
  /** and the piece that both have then. */
  declare piece: CopyPiece | null
  /** What waits in its place until its file is ready (lib/retry.ts). */
  declare waiter: Request | null
  /** The chain that it belongs to, until that is started; its first one is queued for all. */
  declare chain: Request[] | null

  /** By assignments: V8 makes a call of its own of fields that are declared with their values, and that took as long again. */
  constructor() {
    this.opcode = 0
    this.flags = 0
    this.opFlags = 0
    this.file = null
    this.length = 0
    this.position = 0
    this.memory = null
    this.buffer = null
    this.offset = 0
    this.slot = -1
  }

  /** It is about to be given to the engine: time to take what it needs only from here on. */
  admitted(_engine: Engine): void {
    // Most have all that they need.
  }

  /** @param result bytes or 0; a negative errno when it failed */
  abstract completed(result: number, flags: number): void
}

// What few requests have is on the prototype until it is set: half the fields to make and to collect for each.
Object.assign(Request.prototype, {
  path: null, pathBytes: null, second: null, vector: null, extra: 0, address: 0, openArguments: null, error: null,
  next: null, previous: null, queued: false, retries: 0, range: null, piece: null, waiter: null, chain: null
})

/** The ring over an engine. */
export interface EngineOwner {
  /** Called for each completion, */
  completed(request: Request, result: number, flags: number): void
  /** and once after each batch of them; again if it threw. */
  batchEnded(): void
}

export interface EngineStats {
  submitted: number
  completed: number
  enters: number
  wakeups: number
  largestBatch: number
  buffersInUse: number
  filesInUse: number
}

/** Bytes and the NUL that ends them. */
export function cString(path: string | Buffer): Uint8Array {
  return typeof path === 'string' ? Buffer.from(`${path}\0`) : Buffer.concat([path, Buffer.alloc(1)])
}

export type EngineKind = 'uring' | 'threads'

export interface Engine {
  readonly kind: EngineKind
  /** How many requests may be in flight. */
  readonly capacity: number
  /** The caller sees to it that fewer than `capacity` are in flight. Never completes before it returns. */
  start(request: Request): void
  /** Asks for an early end. The request still completes, and only then is it over. */
  cancel(request: Request): void
  /** How many linked requests can be given to it at once. */
  readonly chainMax: number
  /** Sends what is staged now, not at the end of this turn of the event loop. */
  flush(): void
  /** Sends nothing until as many times `release`. */
  hold(): void
  release(): void
  /** Others wait for admission: what goes on by itself is to end soon, and ask again. */
  crowded(waiting: boolean): void
  /** @param justOpened by the caller, who knows its position and whether it appends: those are not asked for */
  inspect(fd: number, done: (error: Error | null, facts: FileFacts) => void, justOpened?: boolean): void
  /** Makes a descriptor known to the engine; `forget` before it is closed. */
  install(fd: number): OpenFile
  /** The same, once it is used often, of a descriptor that only this library closes: until then its number does as well. */
  installLater(fd: number): OpenFile
  /** Whether an operation in flight has this file, and may still look it up by its index. */
  using(file: OpenFile): boolean
  /** Makes memory known to the engine that nobody can take away. @throws what the kernel answers */
  registerBuffer(bytes: Uint8Array): EngineBuffer
  forget(file: OpenFile): void
  /** Whether the next two can be done. */
  readonly seeks: boolean
  /** Moves the descriptor's own position, as reads and writes without a position would have. */
  seek(fd: number, position: number): void
  /** Moves it on by so many bytes, in one step with what others do; where it stood before, negative where that is not known. */
  advance(fd: number, bytes: number): number
  acquireBuffer(bytes: number): EngineBuffer
  /** Gets memory for so many bytes of buffers ready where nobody waits for it: the first touch of 8 MiB took up to 20 ms. */
  populate(bytes: number): Promise<void>
  /** Whether it has memory that begins on a page, */
  readonly aligns: boolean
  /** and such memory, for direct IO. */
  acquirePages(bytes: number): EngineBuffer
  /** How many bytes its memory begins behind a boundary of 4 KiB. */
  pageOffset(memory: Uint8Array): number
  stats(): EngineStats
  /** Nothing may be in flight, and no buffer in use. */
  close(): Promise<void>
}
