/** Signals that end operations. */
import { abortError, invalidArgType } from './errors.js'

interface Listening { actions: Set<() => void>, listener: () => void }

/** One listener a signal: thousands of operations may share one, and an EventTarget warns above ten. */
const listening = new WeakMap<AbortSignal, Listening>()

/** As Node's own functions have it: a signal need not be of this realm, nor of this implementation. @throws ERR_INVALID_ARG_TYPE */
export function validateSignal(signal: unknown): asserts signal is AbortSignal {
  if (typeof signal === 'object' && signal !== null && 'aborted' in signal) return
  throw invalidArgType('options.signal', 'an instance of AbortSignal', signal)
}

/** Calls `action` once the signal is aborted, unless the function it gives is called before. */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  const { actions, listener } = listening.get(signal) ?? listen(signal)
  actions.add(action)
  return () => {
    actions.delete(action)
    if (actions.size > 0) return
    listening.delete(signal)
    signal.removeEventListener('abort', listener)
  }
}

function listen(signal: AbortSignal): Listening {
  const actions = new Set<() => void>()
  const listener = (): void => {
    for (const action of actions) action()
  }
  const made = { actions, listener }
  listening.set(signal, made)
  signal.addEventListener('abort', listener, { once: true })
  return made
}

/** The error that a stream is destroyed with: an aborted signal's reason may be anything. */
export function destroyError(reason: unknown, signal: AbortSignal | undefined): Error {
  return signal?.aborted && reason === signal.reason ? abortError(reason) : reason as Error
}
