/** Operations that are submitted together, and awaited together. */
import { LinkTimeoutOperation } from './control-operations.js'
import { IOSQE_ASYNC, IOSQE_IO_DRAIN } from './engine.js'
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
 * Tells each member of its chain. Where a worker of the kernel's goes on with a chain, it does not stop for a linked timeout
 * while it blocks (6.18: a read of an empty pipe behind a write never ended): what was to be a worker's from the start is
 * polled for instead, where it can be. A drain in the midst is one of the whole: the first one has it for all.
 */
export function hang(chain: Operation[]): void {
  let drain = 0
  for (const [place, each] of chain.entries()) {
    each.chain = chain
    if (place > 0 && each instanceof LinkTimeoutOperation) {
      each.limited = chain[place - 1]
      if (place > 1) each.limited.flags |= IOSQE_ASYNC
    }
    drain |= each.flags & IOSQE_IO_DRAIN
    each.flags &= ~IOSQE_IO_DRAIN
  }
  chain[0].flags |= drain
}
