import { execFileSync } from 'node:child_process'
import { rmdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { thrown } from './stream-events.js'

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: 'pipe' })
}

/** Mounts one after the other, runs `body`, and unmounts them; skips with the reason where that may not be done. */
async function mounted(t: Test, mounts: (() => string)[], body: () => Promise<void>): Promise<void> {
  const points: string[] = []
  try {
    const refused = thrown(() => { for (const mount of mounts) points.push(mount()) })
    if (refused === undefined) await body()
    else t.pass('a disk', { skip: `it cannot be mounted here: ${refused.message.trim().split('\n').at(-1)}` })
  } finally {
    for (const point of points.reverse()) run('umount', point)
  }
}

/** Runs `body` with the mount point of a file system in memory that knows no O_DIRECT. */
export function withoutDirect(t: Test, body: (disk: string) => Promise<void>): Promise<void> {
  const disk = join(t.testdir({ disk: {} }), 'disk')
  return mounted(t, [() => {
    run('mount', '-t', 'ramfs', 'ramfs', disk)
    return disk
  }], () => body(disk))
}

/**
 * Runs `body` with the mount point of an ext4 of `bytes`. With `real`, fewer, the disk is cut under it: what lies behind
 * cannot be written, EIO. It has no journal then, or that would make it read-only.
 */
export function withExt4(t: Test, { bytes, real = bytes }: { bytes: number, real?: number }, body: (disk: string) => Promise<void>): Promise<void> {
  const directory = t.testdir({ disk: {} })
  const [image, disk] = [join(directory, 'image'), join(directory, 'disk')]
  return mounted(t, [() => {
    writeFileSync(image, '')
    truncateSync(image, bytes)
    run('mkfs.ext4', '-q', '-F', '-m', '0', '-O', '^has_journal', '-E', 'lazy_itable_init=1', image)
    run('mount', '-o', 'loop,noinit_itable', image, disk)
    return disk
  }], () => {
    rmdirSync(join(disk, 'lost+found'))
    if (real < bytes) {
      truncateSync(image, real)
      run('losetup', '-c', execFileSync('findmnt', ['-n', '-o', 'SOURCE', disk], { encoding: 'utf8' }).trim())
    }
    return body(disk)
  })
}
