/** What of a machine or a container may keep io_uring from a process, as /proc and /sys tell it. */
import { existsSync, readFileSync } from 'node:fs'

export interface Restrictions {
  /** sysctl kernel.io_uring_disabled: 0 nobody, 1 the unprivileged, 2 all; null before Linux 6.6. */
  ioUringDisabled: number | null
  /** Whether a seccomp filter is on this process; null where that cannot be told. */
  seccomp: boolean | null
  /** 'docker', 'podman', 'kubernetes' or null. */
  container: string | null
  /** Transparent huge pages: 'always', 'madvise' or 'never'; null where that cannot be told. */
  hugePages: string | null
}

function found(path: string, pattern: RegExp): string | null {
  try {
    return pattern.exec(readFileSync(path, 'latin1'))?.[1] ?? null
  } catch {
    return null
  }
}

/** Node's permission model lets existsSync throw. */
function exists(path: string): boolean {
  try {
    return existsSync(path)
  } catch {
    return false
  }
}

function containerName(): string | null {
  if (process.env.KUBERNETES_SERVICE_HOST !== undefined) return 'kubernetes'
  if (exists('/run/.containerenv')) return 'podman'
  return exists('/.dockerenv') ? 'docker' : null
}

export function readRestrictions(): Restrictions {
  const disabled = found('/proc/sys/kernel/io_uring_disabled', /^(\d)/)
  const mode = found('/proc/self/status', /^Seccomp:\s+(\d)/m)
  return {
    ioUringDisabled: disabled === null ? null : Number(disabled),
    seccomp: mode === null ? null : mode !== '0',
    container: containerName(),
    hugePages: found('/sys/kernel/mm/transparent_hugepage/enabled', /\[(\w+)\]/)
  }
}

/** Bytes, Infinity where there is no limit. */
export function memlockLimit(): number | null {
  const soft = found('/proc/self/limits', /^Max locked memory\s+(\S+)/m)
  return soft === null ? null : soft === 'unlimited' ? Infinity : Number(soft)
}
