// The loops of the nops over nothing but the native engine: no operations, no checks, no queue. What they take is what the
// kernel, Node's call into JavaScript, and promises take; no library can be below that.
import type { Completion } from '../../lib/operation.js'
import { completionWords, Counter, descriptorWords, loadNative, ordinary, setupWords, Word } from '../../lib/native.js'
import type { NativeEngine } from '../../lib/native.js'

type Ended = (result: number, flags: number) => void

class BareEngine {
  readonly #native: NativeEngine
  readonly #header = new Uint32Array(Word.count)
  readonly #descriptors: Uint32Array
  readonly #completions: Int32Array
  readonly #waiting: Ended[]
  readonly #mask: number

  constructor() {
    const addon = loadNative()
    if (addon instanceof Error) throw addon
    this.#native = new addon.Engine()
    const granted = this.#native.open(setupWords({ ...ordinary, entries: 4096, cqEntries: 8192 }))
    if (granted < 0) throw new Error(`io_uring_setup: errno ${-granted}`)
    this.#mask = granted - 1
    this.#descriptors = new Uint32Array(granted * descriptorWords) // zeros: nops
    this.#completions = new Int32Array(granted * completionWords)
    this.#waiting = new Array<Ended>(granted)
    const memory = {
      header: this.#header, descriptors: this.#descriptors, extras: new Uint32Array(granted), completions: this.#completions,
      counters: new Float64Array(Counter.count), hasRef: () => true
    }
    const error = this.#native.start(memory, () => this.#dispatch())
    if (error < 0) throw new Error(`errno ${-error}`)
  }

  submit(ended: Ended): void {
    const header = this.#header
    const slot = header[Word.staged] % this.#mask // nops end in their order, so each is free again in time
    this.#waiting[slot] = ended
    this.#descriptors[(header[Word.staged] & this.#mask) * descriptorWords + 1] = slot
    header[Word.staged]++
    if (header[Word.referenced] === 0) this.#native.reference()
  }

  #dispatch(): void {
    const header = this.#header
    header[Word.calls]++
    while (header[Word.dispatched] < header[Word.completed]) {
      const at = header[Word.dispatched]++ * completionWords
      this.#waiting[this.#completions[at]](this.#completions[at + 1], this.#completions[at + 2])
    }
  }
}

let engine: BareEngine | undefined

function shared(): BareEngine {
  return engine ??= new BareEngine()
}

export function succeeded(result: number): void {
  if (result !== 0) throw new Error(`a nop gave ${result}`)
}

export async function bareByPromise(count: number, inFlight: number): Promise<void> {
  const engine = shared()
  const submit = () => new Promise<Completion>(resolve => engine.submit((result, flags) => resolve({ result, flags })))
  let left = count
  const loop = async () => {
    while (left-- > 0) succeeded((await submit()).result)
  }
  await Promise.all(Array.from({ length: inFlight }, loop))
}

export async function bareByCallback(count: number, inFlight: number): Promise<void> {
  const engine = shared()
  let [toSubmit, toComplete] = [count, count]
  await new Promise<void>(resolve => {
    const ended: Ended = result => {
      succeeded(result)
      if (--toComplete === 0) resolve()
      else if (toSubmit-- > 0) engine.submit(ended)
    }
    for (let i = 0; i < inFlight; i++, toSubmit--) engine.submit(ended)
  })
}

/** One batch after another. */
export async function bareByBatch(count: number, inFlight: number): Promise<void> {
  const engine = shared()
  for (let left = count; left > 0; left -= inFlight) {
    const completions = await new Promise<Completion[]>(resolve => {
      const done: Completion[] = []
      const ended: Ended = (result, flags) => {
        if (done.push({ result, flags }) === inFlight) resolve(done)
      }
      for (let i = 0; i < inFlight; i++) engine.submit(ended)
    })
    for (const { result } of completions) succeeded(result)
  }
}
