/** `struct statx` of the kernel (statx(2)), as numbers. */

/** Bytes of the structure. */
export const statxBytes = 256

/** Mask bit by which the alignment of direct IO is asked for. Linux 6.1. */
export const STATX_DIOALIGN = 0x2000

/** Bytes on which direct IO must begin, in memory and in the file; 0 where there is none. Null: the kernel does not say. */
export function dioAlignment(bytes: Uint8Array): { memory: number, offset: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if ((view.getUint32(0, true) & STATX_DIOALIGN) === 0) return null
  return { memory: view.getUint32(152, true), offset: view.getUint32(156, true) }
}

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
