/** Which engine a ring gets: io_uring, or threads where it is refused. */
import type { Engine, EngineOwner } from './engine.js'
import { ThreadsEngine } from './engine-threads.js'
import { UringEngine } from './engine-uring.js'
import { uringUnavailable } from './errors.js'
import { loadNative } from './native.js'
import type { QueueSizes, RingOptions } from './options.js'
import { engineChoice, queueSizes } from './options.js'
import { refusalReason } from './probe.js'

/** @throws ERR_URING_UNAVAILABLE with engine 'uring' where the kernel refuses, ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE */
export function createEngine(ring: EngineOwner, options: RingOptions): Engine {
  if (options.fs !== undefined) return new ThreadsEngine(ring, options.fs)
  const choice = engineChoice(options.engine)
  if (choice === 'threads') return new ThreadsEngine(ring)
  const sizes = queueSizes(options)
  try {
    return openEngine(ring, sizes)
  } catch (error) {
    const refusal = error as NodeJS.ErrnoException
    if (choice === 'uring') throw uringUnavailable(refusal.code ?? 'ERR_DLOPEN_FAILED', refusalReason(refusal))
    return new ThreadsEngine(ring)
  }
}

function openEngine(ring: EngineOwner, [first, ...smaller]: QueueSizes[]): Engine {
  const addon = loadNative()
  if (addon instanceof Error) throw addon
  try {
    return new UringEngine(addon, ring, first.entries, first.cqEntries)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOMEM' || smaller.length === 0) throw error
    return openEngine(ring, smaller)
  }
}
