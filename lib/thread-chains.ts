/** The order that links ask for, where the kernel does not see to it. */
import type { Request } from './engine.js'
import { IOSQE_IO_HARDLINK, IOSQE_IO_LINK, Opcode } from './engine.js'
import { bytesIn } from './vectors.js'

/** Requests that run one after the other; most are alone. */
interface Chain {
  readonly requests: Request[]
  /** The one that runs. */
  at: number
}

/** The kernel does not take their failure for one (see `Operation.link`). */
const neverFail: readonly number[] = [Opcode.statx, Opcode.renameat, Opcode.unlinkat]
const transfers: readonly number[] = [Opcode.read, Opcode.write, Opcode.writev]

/** Runs what it is given as soon as what it waits for has ended. */
export class ThreadChains {
  /** Where the next request belongs, if the last one has a link. */
  #open: Chain | null = null
  readonly #chains = new Map<Request, Chain>()

  /**
   * @param run begins a request, together with the linked timeout behind it
   * @param cancelled ends one that never began
   * @param limited ends the timeout of a request that has ended
   */
  constructor(
    readonly run: (request: Request, limit: Request | null) => void, readonly cancelled: (request: Request) => void,
    readonly limited: (limit: Request) => void
  ) {}

  add(request: Request): void {
    const chain = this.#open ?? { requests: [], at: 0 }
    chain.requests.push(request)
    this.#chains.set(request, chain)
    this.#open = (request.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) !== 0 ? chain : null
    if (this.#open === null) this.#run(chain) // all of it has to be known: the first may have a linked timeout
  }

  #run(chain: Chain): void {
    this.run(chain.requests[chain.at], this.#limit(chain))
  }

  /** The linked timeout of the one that runs. */
  #limit({ requests, at }: Chain): Request | null {
    return requests[at + 1]?.opcode === Opcode.linkTimeout ? requests[at + 1] : null
  }

  /** Whether it has not ended. */
  has(request: Request): boolean {
    return this.#chains.has(request)
  }

  /** Whether it has begun. */
  runs(request: Request): boolean {
    const chain = this.#chains.get(request)!
    return chain.requests[chain.at] === request
  }

  /** Takes one that has not begun out, with all that is linked behind it. */
  remove(request: Request): void {
    const chain = this.#chains.get(request)!
    this.#cut(chain, chain.requests.indexOf(request))
  }

  #cut(chain: Chain, from: number): void {
    for (const request of chain.requests.splice(from)) {
      this.#chains.delete(request)
      this.cancelled(request)
    }
  }

  /** It has ended: what is behind it begins, or is cancelled. */
  ended(request: Request, result: number): void {
    const chain = this.#chains.get(request)!
    this.#chains.delete(request)
    const limit = this.#limit(chain)
    chain.at += limit === null ? 1 : 2
    if (limit !== null) {
      this.#chains.delete(limit)
      this.limited(limit)
    }
    if (breaks(request, result)) this.#cut(chain, chain.at)
    if (chain.at < chain.requests.length) this.#run(chain)
  }
}

/** Whether what is linked behind it must not run. */
function breaks({ opcode, flags, length, vector }: Request, result: number): boolean {
  if ((flags & IOSQE_IO_HARDLINK) !== 0 || neverFail.includes(opcode)) return false
  return result < 0 || (transfers.includes(opcode) && result < (vector === null ? length : bytesIn(vector)))
}
