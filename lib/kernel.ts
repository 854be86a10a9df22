/** What versions of the kernel do wrong. What they lack is asked of the kernel itself. */
import { release } from 'node:os'

/** IORING_FEAT_RW_ATTR came with Linux 6.14. */
const FEAT_RW_ATTR = 1 << 16

/**
 * Whether a ring's table keeps a file that was taken out of it, so that a program just written cannot be started, a deleted
 * file's space is not free, a FIFO's reader sees no end, and a disk is busy: for a second before Linux 6.4 (commit
 * 4a38aed2a0a7), and before 6.13 until each operation on any file of the table has ended that was in flight (a7f0ed5acdc9).
 * @param features of the ring's set-up, which tell it better than a version
 */
export function keepsFiles(features: number): boolean {
  return (features & FEAT_RW_ATTR) === 0
}

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
