/** The interface that everything above speaks: requests, and what runs them. */

/** What to do; the numbers are the kernel's (IORING_OP_*). */
export const Opcode = {
  nop: 0, fsync: 3, pollAdd: 6, openat: 18, close: 19, read: 22, write: 23
} as const

/** A request's flag: let a worker of the kernel's do it from the start (IOSQE_ASYNC). */
export const IOSQE_ASYNC = 16

/** For openat: the engine closes the file if its thread ends before it is closed by a request. */
export const adopt = 1

/** fsync_flags: only the data and what is needed to find it (IORING_FSYNC_DATASYNC). */
export const FSYNC_DATASYNC = 1

/** A position that means: wherever the file's own position is. */
export const currentPosition = -1

/** An open file as operations use it. */
export interface OpenFile {
  readonly fd: number
  /** Its index among the ring's fixed files, or -1. */
  readonly index: number
}

/** What a window must know of a file to plan its operations. */
export interface FileFacts {
  regular: boolean
  /** Opened with O_APPEND. */
  append: boolean
  /** In bytes; a hint, for files grow and shrink. */
  size: number
  /** Of the descriptor itself; -1 where there is none (pipes, terminals). */
  position: number
}

/** Memory of an engine's that is filled and emptied again and again. */
export interface EngineBuffer {
  /** Whose arena it is in; null when it is ordinary memory. */
  readonly engine: Engine | null
  readonly byteLength: number
  /** Its offset in the registered arena, or -1. */
  readonly arenaOffset: number
  /** Its bytes, where JavaScript may see them; null in the arena, which is seen through leases. */
  readonly bytes: Uint8Array | null
  /** The first `length` bytes as a Buffer, until `reclaim`. */
  lend(length: number): Buffer
  /** Takes back what was lent: every view of it has length 0 afterwards. */
  reclaim(lent: Buffer): void
  /** Gives the memory back to where it came from. Nothing may be in flight or lent. */
  free(): void
}

/**
 * One operation and what happens at its end. From start to completion it owns what it names:
 * the file stays open, and the memory is neither freed nor reused.
 */
export abstract class Request {
  opcode = 0
  /** IOSQE_* */
  flags = 0
  /** RWF_*; `adopt` for openat */
  rwFlags = 0
  file: OpenFile | null = null
  /** Bytes to move; the mode for openat. */
  length = 0
  /** In the file; open flags for openat, fsync flags for fsync, events for poll. */
  position = 0
  /** JavaScript's own memory, */
  memory: Uint8Array | null = null
  /** or an engine's buffer; */
  buffer: EngineBuffer | null = null
  /** either from this byte on. */
  offset = 0
  path: string | Buffer | null = null
  /** Flags and mode as the caller gave them, for engines that want names. */
  openArguments: [flags: string | number, mode: string | number] | null = null
  /** Set by an engine that has more to say than an errno (a caller's own `fs`). */
  error: Error | null = null

  /** Its place in the in-flight table; -1 when it is not in flight. The engine's. */
  slot = -1
  /** Neighbours in the queue of those not yet admitted, and whether it is there. The ring's. */
  next: Request | null = null
  previous: Request | null = null
  queued = false
  /** How often in a row its file was not ready. */
  retries = 0
  /** What waits in its place until its file is ready (lib/retry.ts). */
  waiter: Request | null = null

  /** @param result bytes or 0; a negative errno when it failed */
  abstract completed(result: number, flags: number): void
}

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

export type EngineKind = 'uring' | 'threads'

export interface Engine {
  readonly kind: EngineKind
  /** How many requests may be in flight. */
  readonly capacity: number
  /** The caller sees to it that fewer than `capacity` are in flight. Never completes before it returns. */
  start(request: Request): void
  /** Asks for an early end. The request still completes, and only then is it over. */
  cancel(request: Request): void
  /** Sends what is staged now, not at the end of this turn of the event loop. */
  flush(): void
  inspect(fd: number, done: (error: Error | null, facts: FileFacts) => void): void
  /** Makes a descriptor known to the engine; `forget` before it is closed. */
  install(fd: number): OpenFile
  forget(file: OpenFile): void
  /** Moves the descriptor's own position, as reads and writes without a position would have. */
  seek(fd: number, position: number): void
  acquireBuffer(bytes: number): EngineBuffer
  stats(): EngineStats
  /** Nothing may be in flight, and no buffer in use. */
  close(): Promise<void>
}
