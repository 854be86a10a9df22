/** What the base classes of node:stream know of a stream: theirs, but every fs stream has it, and programs ask for it. */
import type { Readable, Writable } from 'node:stream'

interface StreamState {
  autoDestroy: boolean
  errored: Error | null
  errorEmitted: boolean
}

interface ReadableState extends StreamState {
  /** `readableDidRead`. */
  dataEmitted: boolean
}

export function readableState(stream: Readable): ReadableState {
  return (stream as unknown as { _readableState: ReadableState })._readableState
}

export function writableState(stream: Writable): StreamState {
  return (stream as unknown as { _writableState: StreamState })._writableState
}

/** What node:stream does with an error, by a function that it does not export. */
export function errorOrDestroy(stream: Readable | Writable, state: StreamState, error: Error): void {
  if (state.autoDestroy) return void stream.destroy(error)
  state.errored ??= error
  if (state.errorEmitted) return
  state.errorEmitted = true
  stream.emit('error', error)
}
