/** What this machine allows, and why not. */
import { release } from 'node:os'
import { errnoError } from './errors.js'
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
}

/** Sets up a ring of one entry, looks at what it got, and closes it. */
export function probe(): Probe {
  const kernel = release()
  const nothing = { available: false, kernel, features: null }
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
  engine.close(() => {})
  return {
    available: true, reason: '', code: '', kernel,
    features: { setupFlags, features, fixedFiles, registeredBuffers: registeredSegments > 0 }
  }
}
