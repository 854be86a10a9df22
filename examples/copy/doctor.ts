/** uring-copy --doctor: what this machine allows, in words. */
import type { Probe } from '../../lib/index.js'
import { probe, Ring } from '../../lib/index.js'

/** IORING_SETUP_* by their bits. */
const setupFlags = [
  'IOPOLL', 'SQPOLL', 'SQ_AFF', 'CQSIZE', 'CLAMP', 'ATTACH_WQ', 'R_DISABLED', 'SUBMIT_ALL', 'COOP_TASKRUN', 'TASKRUN_FLAG',
  'SQE128', 'CQE32', 'SINGLE_ISSUER', 'DEFER_TASKRUN', 'NO_MMAP', 'REGISTERED_FD_ONLY', 'NO_SQARRAY'
]

const moreLocked = 'raise it by ulimit -l, LimitMEMLOCK=infinity in a systemd unit, or docker run --ulimit memlock=-1'

/** Lines of a name and what is the case. */
export function doctor(probed: Probe = probe(), engine: string = Ring.shared().stats().engine): string {
  const { available, features, operations, restrictions: { container, hugePages, ioUringDisabled, seccomp } } = probed
  const facts: [string, string][] = [
    ['engine', `${engine}: ${whyEngine(probed, engine)}`],
    ['io_uring', available ? 'available' : `refused (${probed.code}): ${probed.reason}`],
    ['kernel', probed.kernel]
  ]
  if (features !== null) {
    facts.push(
      ['set-up flags', setupFlags.filter((_, bit) => (features.setupFlags & 2 ** bit) !== 0).join(' ') || 'none'],
      ['operations missing', operations === null ? 'this kernel does not tell' : operations.missing.join(', ') || 'none'],
      ['registered buffers', `${features.registeredBuffers ? 'yes' : `no, ${moreLocked}`} (limit: ${limitOf(probed)})`],
      ['fixed files', features.fixedFiles ? 'yes' : 'no: plain descriptors are used, as before Linux 6.14 a table keeps what is closed'],
      ['files are closed', features.closesByRing ? 'by the ring' : 'by threads: the ring\'s close returns too early before Linux 5.15.90, and from 5.16 to 6.0']
    )
  }
  facts.push(
    ['huge pages', hugePages === null ? 'not known' : hugePages === 'never' ? 'never: direct IO is slower without' : hugePages],
    ['container', container ?? 'none seen'],
    ['seccomp filter', seccomp === null ? 'not known' : seccomp ? 'yes' : 'no'],
    ['io_uring_disabled', ioUringDisabled === null ? 'no such sysctl' : String(ioUringDisabled)]
  )
  return facts.map(([name, fact]) => `${name.padEnd(18)} ${fact}\n`).join('')
}

/** The same for programs: the engine, and what probe() gives; a limit that there is none of is 'none'. */
export function doctorInJson(): string {
  const told = { engine: Ring.shared().stats().engine, ...probe() }
  return `${JSON.stringify(told, (_, value: unknown) => value === Infinity ? 'none' : value)}\n`
}

function limitOf({ memlock }: Probe): string {
  if (memlock === null) return 'not known'
  return memlock === Infinity ? 'none' : `${memlock / 1024} KiB may be locked`
}

function whyEngine({ available }: Probe, engine: string): string {
  if (engine === 'uring') return 'io_uring works here'
  return available ? 'URING_STREAMS_ENGINE asks for it, io_uring would work here' : 'io_uring is refused, the reads and writes are done by libuv\'s threads'
}
