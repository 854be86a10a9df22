/** EINTR and EAGAIN are no ends: the request starts again. */
import { constants } from 'node:os'
import { Opcode, Request } from './engine.js'
import type { Ring } from './ring.js'

const { EAGAIN, EINTR } = constants.errno
/** Threads cannot wait until a file is ready; they look again so many times. */
const retriesMax = 10
const POLLIN = 1
const POLLOUT = 4

/** Waits until a request's file is ready, in the request's place. */
class Waiter extends Request {
  constructor(readonly ring: Ring, readonly request: Request) {
    super()
    this.opcode = Opcode.pollAdd
    this.file = request.file
    this.position = request.opcode === Opcode.read ? POLLIN : POLLOUT
    request.waiter = this
  }

  override completed(result: number): void {
    this.request.waiter = null
    // Cancelled, or an engine that cannot wait: the request ends as the wait did.
    if (result < 0) this.request.completed(result, 0)
    else this.ring.start(this.request)
  }
}

/**
 * Starts a completed request again if its result says so. EAGAIN comes from descriptors that someone made
 * non-blocking: then it waits until the file is ready.
 */
export function retried(ring: Ring, request: Request, result: number): boolean {
  if (result === -EINTR) ring.start(request)
  else if (result !== -EAGAIN) request.retries = 0
  else if (ring.engine.kind === 'uring' || request.retries++ < retriesMax) ring.start(new Waiter(ring, request))
  else return false
  return result === -EINTR || result === -EAGAIN
}
