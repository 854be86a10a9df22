/** What this machine allows, and why not. */
import { release } from 'node:os'
import { allOperations } from './engine.js'
import { errnoError } from './errors.js'
import { closesLate, keepsFiles } from './kernel.js'
import type { NativeAddon, NativeEngine } from './native.js'
import { loadNative, ordinary, platformRefusal, setupWords } from './native.js'
import type { Restrictions } from './restrictions.js'
import { memlockLimit, readRestrictions } from './restrictions.js'

export type { Restrictions }

/** Why a set-up was refused, and what helps, by the code that the kernel or Node.js answered. */
const reasons: Record<string, string> = {
  EPERM: 'a container\'s seccomp profile or kernel.io_uring_disabled forbids it; ' +
    'allow it by docker run --security-opt seccomp=unconfined, or sysctl kernel.io_uring_disabled=0',
  EACCES: 'a security module (SELinux, AppArmor) forbids it; allow it in the policy of this process, journalctl -k shows what was denied',
  ENOSYS: 'the kernel is older than 5.6, was built without io_uring, or a sandbox (gVisor, rootless podman) hides it; ' +
    'it takes a newer kernel, or docker run --runtime=runc --security-opt seccomp=unconfined',
  EINVAL: 'the kernel or sandbox (gVisor) does not know the parameters; it takes a newer kernel, or docker run --runtime=runc',
  // libuv's name of EOPNOTSUPP, the same number
  ENOTSUP: 'the container runtime or its provider forbids it; it takes another runtime class or node image of the cluster, or a virtual machine',
  ENOMEM: 'RLIMIT_MEMLOCK is too small for the ring; raise it by ulimit -l, LimitMEMLOCK= or docker run --ulimit memlock=-1',
  MODULE_NOT_FOUND: 'the package\'s folder with the addon is not there; leave uring-streams out of the bundle (esbuild --external:uring-streams)',
  ERR_DLOPEN_DISABLED: 'Node.js may load no addon here; start it without --no-addons, and with --allow-addons under its permission model',
  ERR_ACCESS_DENIED: 'the permission model of Node.js keeps the addon from being read; allow it by --allow-fs-read of this package\'s folder'
}

const rebuild = 'build the addon by npm rebuild uring-streams, which needs python3, make and g++'

/** In words, what an error of the set-up or of the loader means, and what helps. */
export function refusalReason(error: NodeJS.ErrnoException): string {
  const { ioUringDisabled, seccomp } = readRestrictions()
  if (error.code === 'EPERM' && ioUringDisabled !== null && ioUringDisabled > 0) {
    return `kernel.io_uring_disabled is ${ioUringDisabled}; allow it by sysctl kernel.io_uring_disabled=0`
  }
  if ((error.code === 'EPERM' || error.code === 'ENOSYS') && seccomp === true) {
    return 'most likely a seccomp profile forbids it, as those of Docker and Kubernetes do; allow it by docker run --security-opt ' +
      'seccomp=PROFILE with a profile that allows io_uring_setup, io_uring_enter and io_uring_register, or seccomp=unconfined'
  }
  const helps = error.errno === undefined && platformRefusal() === null
  return reasons[error.code ?? ''] ?? (helps ? `${error.message}; ${rebuild}` : error.message)
}

/** Undefined before it was tried. */
let readRefusal: NodeJS.ErrnoException | null | undefined

/** What a first real read says, once in each thread: some sandboxes set a ring up and refuse to use it. */
export function firstReadError(addon: NativeAddon): NodeJS.ErrnoException | null {
  if (readRefusal === undefined) {
    const result = addon.firstRead()
    readRefusal = result < 0 ? errnoError(result, 'io_uring_enter') : null
  }
  return readRefusal
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
  features: {
    setupFlags: number
    features: number
    /** Whether files are put into the ring's table: not where that keeps them when they are closed (before Linux 6.14). */
    fixedFiles: boolean
    registeredBuffers: boolean
    /** Whether files are closed by the ring: not where its close returns too early (before Linux 5.15.90, and 5.16 to 6.0). */
    closesByRing: boolean
  } | null
  /** Which of the operations of this library the kernel has, and which it lacks; null when not available. */
  operations: { supported: string[], missing: string[] } | null
  /**
   * Bytes that this process may lock (the soft RLIMIT_MEMLOCK, which binds without CAP_IPC_LOCK): Infinity where there is no
   * limit; null off Linux.
   */
  memlock: number | null
  /** What here may forbid io_uring, and what it would forbid. */
  restrictions: Restrictions
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
  const [kernel, memlock, restrictions] = [release(), memlockLimit(), readRestrictions()]
  const nothing = { available: false, kernel, features: null, operations: null, memlock, restrictions }
  const addon = loadNative()
  if (addon instanceof Error) {
    return { ...nothing, reason: refusalReason(addon), code: (addon as NodeJS.ErrnoException).code ?? 'ERR_DLOPEN_FAILED' }
  }
  const engine = new addon.Engine()
  const granted = engine.open(setupWords({ ...ordinary, entries: 1, cqEntries: 2 }))
  if (granted < 0) {
    const error = errnoError(granted, 'io_uring_setup')
    return { ...nothing, reason: refusalReason(error), code: error.code }
  }
  const refusal = firstReadError(addon)
  if (refusal !== null) {
    engine.close(() => {})
    return { ...nothing, reason: refusalReason(refusal), code: refusal.code! }
  }
  const buffer = engine.acquireBuffer(1) // registers what it is in; there is none where no memory is to be had (RLIMIT_AS)
  if (buffer >= 0) engine.releaseBuffer(buffer)
  const { setupFlags, features, fixedFiles, registeredSegments } = engine.facts()
  const operations = operationsOf(engine)
  engine.close(() => {})
  return {
    available: true, reason: '', code: '', kernel, operations, memlock, restrictions,
    features: {
      setupFlags, features, fixedFiles: fixedFiles && !keepsFiles(features), registeredBuffers: registeredSegments > 0,
      closesByRing: !closesLate()
    }
  }
}
