/** The options of a ring's set-up, as the kernel is told of them. */
import { inspect } from 'node:util'
import type { Engine } from './engine.js'
import { errnoError, invalidArgType, invalidArgValue } from './errors.js'
import type { Setup } from './native.js'
import { wakeups } from './native.js'
import { queueSizes, validateBoolean, validateInteger, validateOneOf } from './options.js'
import type { RingOptions, WorkerLimits } from './options.js'
import type { Ring } from './ring.js'

export const IORING_SETUP_IOPOLL = 1
export const IORING_SETUP_SQPOLL = 2
const IORING_SETUP_SQ_AFF = 4
const IORING_SETUP_CLAMP = 16
const IORING_SETUP_ATTACH_WQ = 32

/** The kernel's own limits are lower; it says so. */
const uint32Max = 2 ** 32 - 1
const int32Max = 2 ** 31 - 1

/** What a ring is to be, in the order to try. */
export interface RingSetup {
  tries: Setup[]
  workers: WorkerLimits | null
  /** The options by which this ring differs from an ordinary one, in words; empty for an ordinary one. */
  special: string
}

/** An engine whose ring others can attach to. */
export interface Attachable {
  readonly ringFd: number
  readonly setupFlags: number
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE */
export function ringSetup(options: RingOptions): RingSetup {
  const { clamp = true, sqPoll, ioPoll = false, attach, workersMax, wakeup = 'ring' } = options
  validateBoolean(clamp, 'options.clamp')
  validateBoolean(ioPoll, 'options.ioPoll')
  validateOneOf(wakeup, 'options.wakeup', wakeups)
  if (ioPoll && options.wakeup !== undefined) {
    throw invalidArgValue('options.wakeup', wakeup, 'has no meaning with ioPoll, where nobody wakes')
  }
  const thread = sqPollSetup(sqPoll)
  const attachTo = attach === undefined ? null : attachable(attach, thread.flags !== 0)
  const flags = thread.flags |
    (clamp ? IORING_SETUP_CLAMP : 0) | (ioPoll ? IORING_SETUP_IOPOLL : 0) | (attachTo !== null ? IORING_SETUP_ATTACH_WQ : 0)
  const common = { ...thread, flags, attachFd: attachTo?.ringFd ?? -1, wakeup }
  return {
    tries: queueSizes(options).map(sizes => ({ ...sizes, ...common })),
    workers: workersMax === undefined ? null : workerLimits(workersMax),
    special: specialWords({ sqPoll, ioPoll, attach: attachTo !== null, wakeup, workersMax })
  }
}

type SqPollSetup = Pick<Setup, 'flags' | 'sqIdleMs' | 'sqCpu'>

function sqPollSetup(sqPoll: RingOptions['sqPoll']): SqPollSetup {
  if (sqPoll === undefined || sqPoll === false) return { flags: 0, sqIdleMs: 0, sqCpu: 0 }
  if (sqPoll !== true && (typeof sqPoll !== 'object' || sqPoll === null)) {
    throw invalidArgType('options.sqPoll', 'of type boolean or an instance of Object', sqPoll)
  }
  const { idleMs = 0, cpu } = sqPoll === true ? {} : sqPoll
  validateInteger(idleMs, 'options.sqPoll.idleMs', 0, uint32Max)
  if (cpu === undefined) return { flags: IORING_SETUP_SQPOLL, sqIdleMs: idleMs, sqCpu: 0 }
  validateInteger(cpu, 'options.sqPoll.cpu', 0, int32Max)
  return { flags: IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF, sqIdleMs: idleMs, sqCpu: cpu }
}

/** Null for a ring on threads, which has nothing to share. */
function attachable(ring: Ring, sqPoll: boolean): Attachable | null {
  const engine: (Engine & Partial<Attachable>) | undefined = ring?.engine
  if (engine === undefined) throw invalidArgType('options.attach', 'an instance of Ring', ring)
  const { ringFd, setupFlags } = engine
  if (ringFd === undefined || setupFlags === undefined) return null
  if (ringFd < 0) throw invalidArgValue('options.attach', ring, 'is closed')
  if (sqPoll && (setupFlags & IORING_SETUP_SQPOLL) === 0) {
    throw invalidArgValue('options.attach', ring, 'has no polling thread to share: it was made without sqPoll')
  }
  return { ringFd, setupFlags }
}

function workerLimits(workersMax: WorkerLimits): WorkerLimits {
  if (typeof workersMax !== 'object' || workersMax === null) {
    throw invalidArgType('options.workersMax', 'an instance of Object', workersMax)
  }
  const { bounded = 0, unbounded = 0 } = workersMax
  validateInteger(bounded, 'options.workersMax.bounded', 0, int32Max)
  validateInteger(unbounded, 'options.workersMax.unbounded', 0, int32Max)
  return { bounded, unbounded }
}

function specialWords(options: Record<string, unknown>): string {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== false && value !== 'ring')
  return given.map(([name, value]) => `${name}: ${inspect(value)}`).join(', ')
}

/** The kernel has io_uring, but not like this. */
export function setupRefused(refusal: NodeJS.ErrnoException, special: string): Error {
  const error = errnoError(refusal.errno!, refusal.syscall!)
  error.message += `: the kernel refuses a ring with { ${special} }`
  return error
}
