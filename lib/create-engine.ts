/** Which engine a ring gets: io_uring, or threads where it is refused. */
import type { Engine, EngineOwner } from './engine.js'
import { ThreadsEngine } from './engine-threads.js'
import { UringEngine } from './engine-uring.js'
import { uringUnavailable } from './errors.js'
import type { Setup } from './native.js'
import { loadNative } from './native.js'
import type { RingOptions, WorkerLimits } from './options.js'
import { engineChoice } from './options.js'
import { firstReadError, probe, refusalReason } from './probe.js'
import { ringSetup, setupRefused } from './setup.js'

/** @throws where the options are wrong, where 'uring' was asked for and is refused, and where only its options are */
export function createEngine(ring: EngineOwner, options: RingOptions): Engine {
  const { tries, workers, special } = ringSetup(options)
  if (options.fs !== undefined) return new ThreadsEngine(ring, tries[0], options.fs)
  const choice = engineChoice(options.engine)
  if (choice === 'threads') return new ThreadsEngine(ring, tries[0])
  try {
    return openEngine(ring, tries, workers)
  } catch (error) {
    const refusal = error as NodeJS.ErrnoException
    // What was asked for by name is not quietly left out, unless there is no io_uring at all.
    if (special !== '' && refusal.errno !== undefined && probe().available) throw setupRefused(refusal, special)
    if (choice === 'uring') throw uringUnavailable(refusal.code ?? 'ERR_DLOPEN_FAILED', refusalReason(refusal))
    return new ThreadsEngine(ring, tries[0])
  }
}

function openEngine(ring: EngineOwner, [first, ...smaller]: Setup[], workers: WorkerLimits | null): Engine {
  const addon = loadNative()
  if (addon instanceof Error) throw addon
  const refusal = firstReadError(addon)
  if (refusal !== null) throw refusal
  try {
    return new UringEngine(addon, ring, first, workers)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOMEM' || smaller.length === 0) throw error
    return openEngine(ring, smaller, workers)
  }
}
