import type { Readable, Writable } from 'node:stream'

export type StreamError = NodeJS.ErrnoException

/** The properties that streams of node:fs have beyond what their published types tell. */
export interface FileStreamProperties {
  fd: number | null
  path: string | Buffer | undefined
  flags: string | number
  mode: number
  start: number | undefined
  end: number
  autoClose: boolean
  pending: boolean
  flush: boolean
}

export function properties(stream: object): FileStreamProperties {
  return stream as FileStreamProperties
}

/** The names of events in the order in which they come; neighbours of one name are written once. */
export function recordEvents(stream: Readable | Writable, names: string[]): string[] {
  const seen: string[] = []
  for (const name of names) {
    stream.on(name, () => {
      if (seen.at(-1) !== name) seen.push(name)
    })
  }
  return seen
}

/** The errors that are emitted. */
export function recordErrors(stream: Readable | Writable): StreamError[] {
  const errors: StreamError[] = []
  stream.on('error', (error: StreamError) => { errors.push(error) })
  return errors
}

/** How often each of `names` was emitted. */
export function countEvents(stream: Readable | Writable, names: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) {
    counts[name] = 0
    stream.on(name, () => { counts[name]++ })
  }
  return counts
}

/** Waits for an event; gives its first argument. Unlike events.once it is not ended by an error. */
export function next<T = unknown>(stream: Readable | Writable, name: string): Promise<T> {
  return new Promise(resolve => stream.once(name, resolve))
}

/** Listens to the chunks of a stream without an encoding. */
export function onData(stream: Readable, listener: (chunk: Buffer) => void): void {
  stream.on('data', listener)
}

/** How many bytes a consumer has worked on when it is told of the end: it pauses for each chunk, and takes its time. */
export async function workedOn(stream: Readable): Promise<number> {
  let worked = 0
  onData(stream, async chunk => {
    stream.pause()
    await turns(20)
    worked += chunk.length
    stream.resume()
  })
  await next(stream, 'end')
  return worked
}

/** Waits for 'close'; gives the error that was emitted before it. */
export function closing(stream: Readable | Writable): Promise<StreamError | undefined> {
  let failure: StreamError | undefined = stream.errored ?? undefined
  stream.on('error', (error: StreamError) => { failure ??= error })
  return new Promise(resolve => {
    // A stream may be closed while its events are still to come in the next tick.
    if (stream.closed) setImmediate(() => resolve(failure))
    else stream.once('close', () => resolve(failure))
  })
}

/** All the bytes of a stream, once it has closed. */
export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => { chunks.push(chunk) })
  const failure = await closing(stream)
  if (failure) throw failure
  return Buffer.concat(chunks)
}

/** All the text of a stream that has an encoding. */
export async function readText(stream: Readable): Promise<string> {
  let text = ''
  stream.on('data', (chunk: string) => {
    if (typeof chunk !== 'string') throw new TypeError('a chunk is not a string')
    text += chunk
  })
  const failure = await closing(stream)
  if (failure) throw failure
  return text
}

/** Writes one chunk; gives the error that its callback was called with, if any. */
export function writeOne(stream: Writable, chunk: unknown, encoding?: BufferEncoding): Promise<StreamError | undefined> {
  return new Promise(resolve => {
    const done = (error?: Error | null) => resolve(error ?? undefined)
    if (encoding) stream.write(chunk, encoding, done)
    else stream.write(chunk, done)
  })
}

/** A write that fails, and the close that follows: the error of its callback, and the one that was emitted. */
export async function failingWrite(stream: Writable, chunk: unknown): Promise<{ told?: StreamError, emitted?: StreamError }> {
  const closed = closing(stream)
  const told = await writeOne(stream, chunk)
  return { told, emitted: await closed }
}

/** Ends a writable and waits until it has closed; throws what it emitted. */
export async function endAndClose(stream: Writable): Promise<void> {
  const closed = closing(stream)
  stream.end()
  const failure = await closed
  if (failure) throw failure
}

export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Lets so many turns of the event loop pass: for showing that something does not happen. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

/** For a condition that no event announces; the test's own time limit ends a wait in vain. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

/** The error that `action` throws at once; undefined if it throws none. */
export function thrown(action: () => unknown): StreamError | undefined {
  try {
    action()
  } catch (error) {
    return error as StreamError
  }
  return undefined
}

/** What of an error a program may look at. */
export function shapeOf(error: StreamError | undefined): object {
  return { name: error?.name, message: error?.message, isError: error instanceof Error, ...error }
}
