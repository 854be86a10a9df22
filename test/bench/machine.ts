// Where a run's figures come from: a number without this says nothing.
import { readFileSync, realpathSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { Ring } from '../../lib/index.js'

export interface Machine { date: string; kernel: string; node: string; cpu: string; cores: number; fileSystem: string; engine: string }

export function describeMachine(directory: string): Machine {
  const cores = cpus()
  return {
    date: new Date().toISOString().slice(0, 10),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    cpu: cores[0]?.model.trim() ?? process.arch,
    cores: cores.length,
    fileSystem: fileSystemOf(directory),
    engine: Ring.shared().stats().engine
  }
}

/** The type of the longest mount point that the directory is in; of two mounts on one point the later covers the earlier. */
function fileSystemOf(directory: string): string {
  const path = `${realpathSync(directory)}/`
  let best = { point: '', type: 'unknown' }
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n')) {
    const [mount, backing] = line.split(' - ')
    const point = unescape(mount.split(' ')[4])
    const within = path.startsWith(point.endsWith('/') ? point : `${point}/`)
    if (within && point.length >= best.point.length) best = { point, type: backing.split(' ')[0] }
  }
  return best.type
}

/** mountinfo writes spaces, tabs, newlines and backslashes in octal. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
}
