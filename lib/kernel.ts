/** What versions of the kernel do wrong. What they lack is asked of the kernel itself. */
import { release } from 'node:os'

/**
 * Whether IORING_OP_CLOSE completes before the file is closed, so that to start a program just written fails with ETXTBSY:
 * before Linux 5.15.90, and from 5.16 to 6.0 (libuv leaves it alone on the same versions, src/unix/linux.c). A version
 * that does not tell of its fixes (a distribution's 5.14.0 or 5.15.0) counts as without.
 */
export function closesLate(kernel = release()): boolean {
  const [major, minor, patch] = kernel.split(/[.+-]/).map(Number)
  if (major !== 5) return major < 5 || (major === 6 && minor === 0)
  return minor !== 15 || !(patch >= 90)
}
