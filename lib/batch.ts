/** Operations that are submitted together, and awaited together. */
import { IOSQE_ASYNC, IOSQE_IO_DRAIN, Opcode } from './engine.js'
import { abortError, errnoOf } from './errors.js'
import type { Completion, Operation } from './operation.js'

const EFAULT = errnoOf('EFAULT')

/** What several operations report their ends to. */
export interface Gathering {
  completed(place: number, completion: Completion): void
}

export class Batch implements Gathering {
  private readonly _completions: Completion[]
  private _left: number

  constructor(
    private readonly _operations: readonly Operation[],
    private readonly _resolve: (completions: Completion[]) => void,
    private readonly _reject: (error: Error) => void
  ) {
    this._left = _operations.length
    this._completions = new Array<Completion>(this._left)
  }

  completed(place: number, completion: Completion): void {
    this._completions[place] = completion
    if (--this._left > 0) return
    const { aborted } = this._operations[place]
    if (aborted === null) this._resolve(this._completions)
    else this._reject(this._abortion(aborted))
  }

  /** Files that were opened before the signal came are as unknown to the caller as those after it. */
  private _abortion({ reason }: AbortSignal): Error {
    const completions = this._completions
    for (const [index, operation] of this._operations.entries()) operation.disown(completions[index].result)
    return Object.assign(abortError(reason), { completions })
  }
}

/** The callback of each of its operations: one for all, as `settle` is. */
export function settleInBatch(this: Operation, error: Error | null, result: number, flags: number): void {
  // Bytes that did not get into a buffer that was detached have not been read.
  const failed = error !== null && result >= 0 && this.aborted === null
  this.batch!.completed(this.place, { result: failed ? EFAULT : result, flags })
}

/** The index behind the last of the chain that begins at `head`. */
export function endOfChain(operations: readonly Operation[], head: number): number {
  let last = head
  while (last < operations.length - 1 && operations[last].linksNext) last++
  return last + 1
}

/**
 * Tells each member of its chain. What a worker of the kernel's begins, as it goes on in a chain, is limited only once it does not
 * block there any more (6.18: the timeout of a read of an empty pipe behind a write never ended): what was to be a worker's from
 * the start is polled for instead, where it can be. A drain in its midst is one of the whole, and the kernel would make one of whatever comes
 * behind the chain, too, a cancel for instance: the first one has it alone.
 */
export function hang(chain: Operation[]): void {
  let drain = 0
  for (const [place, each] of chain.entries()) {
    each.chain = chain
    if (place > 1 && each.opcode === Opcode.linkTimeout) chain[place - 1].flags |= IOSQE_ASYNC
    drain |= each.flags & IOSQE_IO_DRAIN
    each.flags &= ~IOSQE_IO_DRAIN
  }
  chain[0].flags |= drain
}
