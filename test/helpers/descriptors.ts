import { fstatSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { endAndClose } from './stream-events.js'

/**
 * What every descriptor of this process points at, without the numbers: those are reused. Left out are sockets
 * and nameless pipes (the tests have their own, to child processes and by HTTP, which close when they like),
 * /dev/null (libuv opens one with its first socket and keeps it), and what node itself reads in /etc (certificates, hosts).
 */
function openDescriptors(): string[] {
  const targets: string[] = []
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`)
      if (!/^(socket:|pipe:|\/etc\/|\/dev\/null$)/.test(target)) targets.push(target)
    } catch {
      // The descriptor by which readdir read the directory: it is closed by now.
    }
  }
  return targets.sort()
}

/** True while `fd` is a descriptor of the file at `path` (a number alone may belong to another file by now). */
export function isOpenOn(fd: number, path: string): boolean {
  try {
    const [opened, named] = [fstatSync(fd), statSync(path)]
    return opened.ino === named.ino && opened.dev === named.dev
  } catch {
    return false
  }
}

let warm: Promise<void> | undefined

/** The first stream makes the ring, whose descriptors stay: they are no leak of the test that comes first. */
function warmUp(): Promise<void> {
  warm ??= (async () => {
    const directory = mkdtempSync(join(tmpdir(), 'uring-streams-'))
    const path = join(directory, 'small')
    writeFileSync(path, 'small')
    for await (const chunk of createUringReadStream(path)) void chunk
    await endAndClose(createUringWriteStream(path))
    rmSync(directory, { recursive: true })
  })()
  return warm
}

/** Remembers the open descriptors; the function it gives asserts that the same ones are open. */
async function watchDescriptors(t: Test): Promise<() => void> {
  if (notLinux) {
    return () => t.pass('descriptors are not counted', { skip: 'no /proc/self/fd' })
  }
  await warmUp()
  const before = openDescriptors()
  return () => t.same(openDescriptors(), before, 'the same descriptors are open as before')
}

/** Where a test needs Linux: the reason to skip it elsewhere. */
export const notLinux = process.platform !== 'linux' && `${process.platform} has not what this needs`

/** A test that must also leave no descriptor open: its body waits for the 'close' of every stream it makes. */
export function streamTest(name: string, body: (t: Test) => Promise<void>, skip: string | false = false): void {
  t.test(name, { skip }, async t => {
    const assertNoneLeft = await watchDescriptors(t)
    await body(t)
    assertNoneLeft()
  })
}
