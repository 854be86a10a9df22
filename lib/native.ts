/** The only file that loads the addon; its whole surface, typed. The other side is binding/. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FileFacts } from './engine.js'

/** Words of the shared header, in the order of `Shared::Word` in binding/engine.h. */
export const Word = { staged: 0, taken: 1, completed: 2, dispatched: 3, calls: 4, referenced: 5, crowded: 6, late: 7, count: 8 } as const
/** Counters, in the order of `Engine::Counter` in binding/engine.h. */
export const Counter = { submitted: 0, completed: 1, enters: 2, wakeups: 3, largestBatch: 4, count: 5 } as const
/** 32-bit words of one descriptor (`Descriptor` in binding/operation.h) and of one completion. */
export const descriptorWords = 8
export const completionWords = 4
/** The bit of a descriptor's flags that says: the address is an offset in the arena. */
export const arenaMemory = 0x80

/** How a ring's owner learns of completions, in the order of `WakeupMode` in binding/ring.h. */
export const wakeups = ['ring', 'eventfd', 'thread'] as const
export type WakeupMode = typeof wakeups[number]

/** What is asked of the kernel at a ring's set-up. */
export interface Setup {
  entries: number
  cqEntries: number
  /** IORING_SETUP_* */
  flags: number
  sqIdleMs: number
  sqCpu: number
  /** Another ring's descriptor, with IORING_SETUP_ATTACH_WQ. */
  attachFd: number
  wakeup: WakeupMode
}

/** A set-up without wishes. */
export const ordinary: Omit<Setup, 'entries' | 'cqEntries'> =
  { flags: 16 /* IORING_SETUP_CLAMP */, sqIdleMs: 0, sqCpu: 0, attachFd: -1, wakeup: 'ring' }

/** The words of `RingOptions` in binding/ring.h. */
export function setupWords(setup: Setup): Uint32Array {
  const { entries, cqEntries, flags, sqIdleMs, sqCpu, attachFd, wakeup } = setup
  return Uint32Array.of(entries, cqEntries, flags, sqIdleMs, sqCpu, attachFd, wakeups.indexOf(wakeup))
}

/** Bytes of the arena (`BufferArena` in binding/buffer_arena.h). */
export const arenaBytes = 16 * 1024 * 1024

/** Memory that both sides read and write, on one thread. */
export interface SharedMemory {
  header: Uint32Array
  descriptors: Uint32Array
  /** By slot, what an operation needs beyond its descriptor. */
  extras: Uint32Array
  completions: Int32Array
  counters: Float64Array
  /**
   * As handles have it: whether the event loop waits for the engine. Tools that look for what keeps a process (jest's
   * --detectOpenHandles) ask that of the objects that async_hooks shows, of which this is the engine's.
   */
  hasRef(): boolean
}

export interface NativeFacts {
  sqEntries: number
  cqEntries: number
  ringFd: number
  setupFlags: number
  features: number
  fixedFiles: boolean
  registeredSegments: number
}

export interface NativeEngine {
  /** Takes the `setupWords`. The completion queue's entries, or a negative errno. */
  open(setup: Uint32Array): number
  /** 0 or a negative errno. From here on `dispatch` is called with batches of completions. */
  start(memory: SharedMemory, dispatch: () => void): number
  facts(): NativeFacts
  /** Keeps the event loop alive until nothing is in flight. */
  reference(): void
  /** Enters the kernel with everything staged. 0 or a negative errno; what was refused is tried again. */
  submit(): number
  /** How many of the kernel's workers serve this thread; 0 keeps a limit. 0 or a negative errno. */
  limitWorkers(bounded: number, unbounded: number): number
  cancel(slot: number): void
  /** The engine will not close this descriptor when its thread ends: it is closed now. True if it would have. */
  disown(fd: number): boolean
  /** Writes the address of `view`'s byte `offset` into the descriptor staged at `index`. */
  setAddress(index: number, view: Uint8Array, offset: number): void
  /** The same in the place of the position, for operations that take two addresses. */
  setAddress(index: number, view: Uint8Array, offset: number, second: true): void
  /** Makes a vector of the views for the descriptor staged at `index` with this slot. */
  setVector(index: number, slot: number, views: Uint8Array[]): void
  /**
   * Lets the write staged at `index`, and the read before it, go on by themselves (binding/copy_pipeline.h): words of
   * `CopyRange` and of `CopyPiece`.
   */
  addLane(index: number, range: Float64Array, piece: Float64Array): void
  /** The index of a fixed file, or -1. */
  installFile(fd: number): number
  removeFile(index: number): void
  /** An index for fixed transfers, or a negative errno. The memory must stay where it is until it is unregistered. */
  registerBuffer(view: Uint8Array): number
  unregisterBuffer(index: number): void
  /** Writes 1 in the place of each opcode that the kernel has. 0 or a negative errno. */
  operations(out: Uint8Array): number
  /** Lets a thread touch the memory of the first so many bytes of buffers. */
  populate(bytes: number, done: () => void): void
  /** An offset in the arena, or -1. */
  acquireBuffer(bytes: number): number
  releaseBuffer(offset: number): void
  /** A buffer's memory has another owner: it is never used again, and the arena never unmapped. */
  abandonBuffer(): void
  /** A Buffer over arena memory, or null where the host forbids such Buffers. */
  lease(offset: number, length: number): Buffer | null
  /** Ends a lease: every view of the ArrayBuffer has length 0 afterwards. */
  detach(buffer: ArrayBufferLike): void
  /** Nothing may be in flight. `closed` is called when the ring's own descriptor is closed. */
  close(closed: () => void): void
}

export interface NativeAddon {
  Engine: new () => NativeEngine
  /** Which sources it was built from, see binding/stamp.js. */
  stamp: string
  /** Reads a byte by a ring of its own. 0 or a negative errno. */
  firstRead(): number
  /**
   * Writes [regular, append, size, position, directAlignment, block] of a descriptor to `out`. 0 or a negative errno.
   * `append` is not asked of a regular file that was `justOpened`.
   */
  inspect(fd: number, out: Float64Array, justOpened: boolean): number
  /** How many bytes memory begins behind a boundary of 4 KiB. */
  pageOffset(memory: Uint8Array): number
  /** Moves a descriptor's own position. 0 or a negative errno. */
  seek(fd: number, position: number): number
  /** Moves it on by so many bytes, in one step. Where it stood before, or a negative errno. */
  advance(fd: number, bytes: number): number
  /** Lets malloc keep up to 62 MiB that were freed, where it is glibc's. */
  keepFreedMemory(): void
  /**
   * Does what io_uring has no operation for, on one of libuv's threads. `numbers` go in and come out; `done` gets a
   * count or 0, or a negative errno. The descriptors must stay open until then.
   */
  fileCall(call: number, source: number, target: number, numbers: Float64Array, done: (result: number) => void): void
  /** Copies small files on one of libuv's threads (binding/small_files.h): bytes of each, or a negative errno. */
  copySmallFiles(paths: Buffer, clone: boolean, results: Float64Array, done: () => void): void
}

/** In the order of `FileCall` in binding/file_calls.h, which says what each does. */
export const FileCall = {
  extents: 0, clone: 1, copyXattrs: 2, setTimes: 3, dropCache: 4, setDirect: 5, preallocate: 6, allocate: 7, cachedBytes: 8, close: 9,
  startWriteback: 10, clearDirect: 11, preallocationPays: 12
} as const

const inspected = new Float64Array(6)

/**
 * What the kernel tells of a descriptor, or a negative errno.
 * @param justOpened by the caller, who knows whether it appends
 */
export function inspectFile(addon: NativeAddon, fd: number, justOpened = false): FileFacts | number {
  const error = addon.inspect(fd, inspected, justOpened)
  if (error < 0) return error
  return {
    regular: inspected[0] === 1,
    block: inspected[5] === 1,
    append: inspected[1] === 1,
    size: inspected[2],
    position: inspected[3],
    directAlignment: inspected[4]
  }
}

/** The package's folder: this file runs from lib/ or from dist/lib/. */
function packageRoot(): string {
  // A bundle in CommonJS has no URL.
  let folder = import.meta.url ? dirname(fileURLToPath(import.meta.url)) : '/'
  while (!existsSync(join(folder, 'binding.gyp'))) {
    if (dirname(folder) === folder) throw Object.assign(new Error('the package\'s folder is not there'), { code: 'MODULE_NOT_FOUND' })
    folder = dirname(folder)
  }
  return folder
}

/** Nothing of a program that may not be read, as under Node's permission model. */
function firstPageOf(program: string): Buffer {
  const page = Buffer.alloc(4096)
  try {
    const fd = openSync(program, 'r')
    try {
      readSync(fd, page, 0, page.length, 0)
    } finally {
      closeSync(fd)
    }
  } catch {
    // The report will tell.
  }
  return page
}

/**
 * The C library that a program runs on, by the dynamic loader it names in its first page (/lib/ld-musl-x86_64.so.1).
 * process.report tells it, too, but takes 10 ms and waits for every worker.
 */
export function libcOf(program: string): 'glibc' | 'musl' {
  const page = firstPageOf(program)
  if (page.includes('/ld-musl-')) return 'musl'
  if (page.includes('/ld-linux')) return 'glibc'
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }
  return header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'
}

/**
 * What was built here (unless PREBUILDS_ONLY is set), else the prebuilt binary for this processor and C library, which
 * LIBC may name. binding/build.js sees to it that both are made of the sources beside them.
 */
function addonPath(root: string): string {
  const built = join(root, 'build/Release/uring_streams.node')
  if (!process.env.PREBUILDS_ONLY && existsSync(built)) return built
  const libc = process.env.LIBC || libcOf(process.execPath)
  const prebuilt = join(root, `prebuilds/linux-${process.arch}/uring-streams.${libc}.node`)
  if (!existsSync(prebuilt)) throw new Error(`there is no prebuilt binary for linux-${process.arch} with ${libc}, and none was built`)
  return prebuilt
}

/**
 * Why no addon can be loaded here; null where one can. Bun and Deno load those of Node's, and have not the event loop that
 * this one calls: Bun 1.4 aborts the process at such a call, Deno 2 ends it for want of a symbol.
 */
export function platformRefusal(): string | null {
  if (process.platform !== 'linux') return `io_uring needs Linux, this is ${process.platform}`
  const other = ['bun', 'deno'].find(name => name in process.versions)
  return other === undefined ? null : `the addon needs Node's event loop (libuv), which ${other} has not`
}

let loaded: NativeAddon | Error | undefined

/** The addon, or the error that kept it from loading (no prebuild for this platform, no compiler). */
export function loadNative(): NativeAddon | Error {
  if (loaded !== undefined) return loaded
  try {
    const refusal = platformRefusal()
    if (refusal !== null) throw new Error(refusal)
    const module = { exports: {} }
    process.dlopen(module, addonPath(packageRoot())) // what require does, without its machinery: that took 2 of a ring's 5 ms
    loaded = module.exports as NativeAddon
  } catch (error) {
    loaded = error as Error
  }
  return loaded
}
