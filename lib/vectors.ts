/** Vectors: buffers that one operation goes through in order. */
import { operationBytesMax } from './options.js'

/** In one operation at most (UIO_MAXIOV of the kernel). */
export const buffersMax = 1024

export function bytesIn(views: readonly Uint8Array[]): number {
  let sum = 0
  for (const { byteLength } of views) sum += byteLength
  return sum
}

/** As much of the views as one operation carries. */
export function oneVector(views: Uint8Array[]): Uint8Array[] {
  return firstBytes(views.slice(0, buffersMax), operationBytesMax)
}

/** As many of the views as `bytes` reach, the last one cut. */
function firstBytes(views: Uint8Array[], bytes: number): Uint8Array[] {
  let rest = bytes
  const parts: Uint8Array[] = []
  for (const view of views) {
    if (rest === 0) break
    parts.push(view.byteLength <= rest ? view : view.subarray(0, rest))
    rest -= parts.at(-1)!.byteLength
  }
  return parts
}

/** The views without their first `bytes`. */
export function withoutFirst(views: Uint8Array[], bytes: number): Uint8Array[] {
  let rest = bytes
  let whole = 0
  while (whole < views.length && views[whole].byteLength <= rest) rest -= views[whole++].byteLength
  return rest === 0 ? views.slice(whole) : [views[whole].subarray(rest), ...views.slice(whole + 1)]
}
