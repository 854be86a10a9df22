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

/**
 * Makes the objects of a class `instanceof` fs.ReadStream or fs.WriteStream: programs ask for that before they look for the
 * file's size (AWS's PutObject sends a length for no other stream, and S3 refuses what has none). All that the class of
 * node:fs does is hidden again by what the class has itself or inherits from node:stream.
 */
export function passFor(ours: { prototype: object }, theirs: { prototype: object }): void {
  const { prototype } = ours
  const base = Object.getPrototypeOf(prototype)
  for (const name of Object.getOwnPropertyNames(theirs.prototype)) {
    if (!Object.hasOwn(prototype, name)) Object.defineProperty(prototype, name, { value: base[name], writable: true, configurable: true })
  }
  Object.setPrototypeOf(prototype, theirs.prototype)
}
