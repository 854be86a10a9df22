/** File systems of their own, in images on loop devices: small, or with faults. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
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
