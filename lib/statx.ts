/** `struct statx` of the kernel (statx(2)), as numbers. */
import type { BigIntStats } from 'node:fs'

/** Bytes of the structure. */
export const statxBytes = 256

/** What statx says of a file. Times in milliseconds since 1970, as fs.Stats has them. */
export interface FileStats {
  mode: number
  size: number
  ino: number
  nlink: number
  uid: number
  gid: number
  blksize: number
  /** 512-byte blocks. */
  blocks: number
  /** Major and minor number of the device that has the file. */
  dev: [major: number, minor: number]
  atimeMs: number
  birthtimeMs: number
  ctimeMs: number
  mtimeMs: number
}

/** Reads the structure that the kernel has filled. */
export function parseStatx(bytes: Uint8Array): FileStats {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const u32 = (at: number): number => view.getUint32(at, true)
  const u64 = (at: number): number => Number(view.getBigUint64(at, true))
  const ms = (at: number): number => Number(view.getBigInt64(at, true)) * 1000 + u32(at + 8) / 1e6
  return {
    blksize: u32(4), nlink: u32(16), uid: u32(20), gid: u32(24), mode: view.getUint16(28, true), ino: u64(32),
    size: u64(40), blocks: u64(48), atimeMs: ms(64), birthtimeMs: ms(80), ctimeMs: ms(96), mtimeMs: ms(112),
    dev: [u32(136), u32(140)]
  }
}

/** The opposite, of what node:fs says of a file. */
export function writeStatx(bytes: Uint8Array, stats: BigIntStats): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const u32 = (at: number, value: bigint): void => view.setUint32(at, Number(value & 0xffff_ffffn), true)
  const u64 = (at: number, value: bigint): void => view.setBigUint64(at, value, true)
  const time = (at: number, ns: bigint): void => {
    view.setBigInt64(at, ns / 1_000_000_000n, true)
    u32(at + 8, ns % 1_000_000_000n)
  }
  const { blksize, nlink, uid, gid, mode, ino, size, blocks, dev } = stats
  for (const [at, value] of [[4, blksize], [16, nlink], [20, uid], [24, gid]] as const) u32(at, value)
  view.setUint16(28, Number(mode & 0xffffn), true)
  for (const [at, value] of [[32, ino], [40, size], [48, blocks]] as const) u64(at, value)
  time(64, stats.atimeNs)
  time(80, stats.birthtimeNs)
  time(96, stats.ctimeNs)
  time(112, stats.mtimeNs)
  // glibc's gnu_dev_major and gnu_dev_minor.
  u32(136, (dev >> 8n & 0xfffn) | (dev >> 32n & 0xffff_f000n))
  u32(140, (dev & 0xffn) | (dev >> 12n & 0xffff_ff00n))
}
