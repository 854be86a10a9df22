/** File systems of their own, in images on loop devices: small, or with faults. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { thrown } from './stream-events.js'

export interface Image {
  /** Where it is mounted. */
  folder: string
  /** The file that it is in. */
  path: string
}

function sh(command: string, args: string[]): void {
  execFileSync(command, args, { stdio: 'pipe' })
}

/**
 * Lends a mounted file system; where it cannot be made that is a visible skip.
 * @param make the program that makes it, with its arguments
 * @param megabytes of the image
 */
export async function withImage(t: Test, make: string[], megabytes: number, body: (image: Image) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'uring-streams-image-'))
  const image = { folder: join(directory, 'mounted'), path: join(directory, 'image') }
  mkdirSync(image.folder)
  const [program, ...args] = make
  const refused = thrown(() => {
    writeFileSync(image.path, '')
    truncateSync(image.path, megabytes * 1024 * 1024)
    sh(program, [...args, image.path])
    sh('mount', ['-o', 'loop', image.path, image.folder])
  })
  if (refused !== undefined) {
    rmSync(directory, { recursive: true })
    const reason = refused.message.trim().split('\n').at(-1)
    return void t.pass(`a file system by ${program}`, { skip: `it cannot be made and mounted here: ${reason}` })
  }
  try {
    await body(image)
  } finally {
    sh('umount', [image.folder])
    rmSync(directory, { recursive: true })
  }
}

/**
 * Lends an ext4 of so many MiB without a journal, and nothing in it. With `cutTo`, fewer, the disk is cut under it: what lies
 * behind cannot be written, EIO. (A journal would make it read-only then.)
 */
export function withExt4(t: Test, megabytes: number, cutTo: number | null, body: (folder: string) => Promise<void>): Promise<void> {
  const make = ['mkfs.ext4', '-q', '-F', '-m', '0', '-O', '^has_journal']
  return withImage(t, make, megabytes, ({ folder, path }) => {
    rmdirSync(join(folder, 'lost+found'))
    if (cutTo !== null) resizeDisk({ folder, path }, cutTo * 1024 * 1024)
    return body(folder)
  })
}

/** Cuts the disk under a file system: what lies behind can be neither read nor written, EIO; or gives it its length again. */
export function resizeDisk({ folder, path }: Image, bytes: number): void {
  truncateSync(path, bytes)
  // The device has to know: old kernels (5.10) read zeros where its file has ended.
  sh('losetup', ['-c', execFileSync('findmnt', ['-n', '-o', 'SOURCE', folder], { encoding: 'utf8' }).trim()])
}

/** A byte of an image in the middle of one of its files: cut there, nothing can be read of what is behind it. */
export function brokenAt(path: string): number {
  const report = execFileSync('filefrag', ['-b4096', '-v', path], { encoding: 'utf8' })
  const [, first, last] = /^\s*0:\s+0\.\.\s*\d+:\s+(\d+)\.\.\s*(\d+):/m.exec(report)!
  return Math.floor((Number(first) + Number(last)) / 2) * 4096
}

/**
 * Lends a block device over a file with the given content, or skips visibly.
 * @param sector bytes that it reads and writes at once
 */
export async function withLoopDevice(t: Test, content: Uint8Array, sector: number, body: (device: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'uring-streams-loop-'))
  const path = join(directory, 'image')
  writeFileSync(path, content)
  let device = ''
  const refused = thrown(() => {
    device = execFileSync('losetup', ['--find', '--show', '--sector-size', `${sector}`, path], { stdio: 'pipe', encoding: 'utf8' }).trim()
  })
  try {
    if (refused === undefined) await body(device)
    else t.pass('a loop device', { skip: `it cannot be made here: ${refused.message.trim().split('\n').at(-1)}` })
  } finally {
    if (refused === undefined) sh('losetup', ['--detach', device])
    rmSync(directory, { recursive: true })
  }
}

/** Lends a file system in memory, or skips visibly. */
export async function withMemory(t: Test, type: 'tmpfs' | 'ramfs', body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `uring-streams-${type}-`))
  const refused = thrown(() => sh('mount', ['-t', type, type, folder]))
  try {
    if (refused === undefined) await body(folder)
    else t.pass(`a ${type}`, { skip: `it cannot be mounted here: ${refused.message.trim().split('\n').at(-1)}` })
  } finally {
    if (refused === undefined) sh('umount', [folder])
    rmdirSync(folder)
  }
}

/** The one that knows no O_DIRECT. */
export function withoutDirect(t: Test, body: (folder: string) => Promise<void>): Promise<void> {
  return withMemory(t, 'ramfs', body)
}

/** Lends an overlay, as containers have, of two folders; or skips visibly. */
export async function withOverlay(t: Test, body: (folder: string) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'uring-streams-overlay-'))
  const [lower, upper, work, folder] = ['lower', 'upper', 'work', 'merged'].map(name => join(root, name))
  for (const each of [lower, upper, work, folder]) mkdirSync(each)
  const refused = thrown(() => sh('mount', ['-t', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, 'overlay', folder]))
  try {
    if (refused === undefined) await body(folder)
    else t.pass('an overlay', { skip: `it cannot be mounted here: ${refused.message.trim().split('\n').at(-1)}` })
  } finally {
    if (refused === undefined) sh('umount', [folder])
    rmSync(root, { recursive: true })
  }
}
