/** What this machine allows, and why not. */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { allOperations } from './engine.js'
import { errnoError } from './errors.js'
import type { NativeEngine } from './native.js'
import { loadNative, ordinary, setupWords } from './native.js'

/** Why a set-up was refused, and what helps, by the code that the kernel answered. */
const reasons: Record<string, string> = {
  EPERM: 'a container\'s seccomp profile or kernel.io_uring_disabled forbids it; ' +
    'allow it by docker run --security-opt seccomp=unconfined, or sysctl kernel.io_uring_disabled=0',
  EACCES: 'a security module forbids it',
  ENOSYS: 'the kernel is older than 5.6, was built without io_uring, or a sandbox (gVisor, rootless podman) hides it',
  EINVAL: 'the kernel or sandbox does not know the parameters',
  EOPNOTSUPP: 'the container runtime forbids it',
  ENOMEM: 'RLIMIT_MEMLOCK is too small for the ring; raise it by ulimit -l, LimitMEMLOCK= or docker run --ulimit memlock=-1'
}

/** In words, what an error of the set-up means. */
export function refusalReason(error: NodeJS.ErrnoException): string {
  return reasons[error.code ?? ''] ?? error.message
}

export interface Probe {
  /** Whether io_uring can be used. */
  available: boolean
  /** Why not, and the remedy; empty when available. */
  reason: string
  /** What the kernel or the loader answered: EPERM, ENOSYS…; empty when available. */
  code: string
  /** The running kernel's release. */
  kernel: string
  /** What held of the set-up; null when not available. */
  features: { setupFlags: number, features: number, fixedFiles: boolean, registeredBuffers: boolean } | null
  /** Which of the operations of this library the kernel has, and which it lacks; null when not available. */
  operations: { supported: string[], missing: string[] } | null
  /** Bytes that this process may lock (the soft RLIMIT_MEMLOCK, which binds without CAP_IPC_LOCK); null off Linux. */
  memlock: number | null
}

/** Infinity where there is no limit. */
function memlockLimit(): number | null {
  let limits: string
  try {
    limits = readFileSync('/proc/self/limits', 'latin1')
  } catch {
    return null
  }
  const soft = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1]
  return soft === undefined ? null : soft === 'unlimited' ? Infinity : Number(soft)
}

function operationsOf(engine: NativeEngine): Probe['operations'] {
  const has = new Uint8Array(256)
  if (engine.operations(has) < 0) return null
  const names = Object.entries(allOperations)
  return {
    supported: names.filter(([, opcode]) => has[opcode] === 1).map(([name]) => name),
    missing: names.filter(([, opcode]) => has[opcode] !== 1).map(([name]) => name)
  }
}

/** Sets up a ring of one entry, looks at what it got, and closes it. */
export function probe(): Probe {
  const [kernel, memlock] = [release(), memlockLimit()]
  const nothing = { available: false, kernel, features: null, operations: null, memlock }
  const addon = loadNative()
  if (addon instanceof Error) {
    return { ...nothing, reason: refusalReason(addon), code: 'ERR_DLOPEN_FAILED' }
  }
  const engine = new addon.Engine()
  const granted = engine.open(setupWords({ ...ordinary, entries: 1, cqEntries: 2 }))
  if (granted < 0) {
    const error = errnoError(granted, 'io_uring_setup')
    return { ...nothing, reason: refusalReason(error), code: error.code }
  }
  engine.releaseBuffer(engine.acquireBuffer(1))
  const { setupFlags, features, fixedFiles, registeredSegments } = engine.facts()
  const operations = operationsOf(engine)
  engine.close(() => {})
  return {
    available: true, reason: '', code: '', kernel, operations, memlock,
    features: { setupFlags, features, fixedFiles, registeredBuffers: registeredSegments > 0 }
  }
}
