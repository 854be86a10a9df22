// fio, the peer of random reads and of direct IO.
import { spawnSync } from 'node:child_process'
import type { Plan } from './random-reads.js'
import { blockBytes } from './random-reads.js'

interface Transfer {
  total_ios: number
  io_bytes: number
  /** Milliseconds. */
  runtime: number
}

interface Job {
  read: Transfer
  write: Transfer
  /** Per cent of job_runtime. */
  usr_cpu: number
  sys_cpu: number
  /** Milliseconds. */
  job_runtime: number
}

export interface Reads { seconds: number; processorSeconds: number }

/** Why it cannot be run, if it cannot. */
export function fioMissing(): string | undefined {
  return spawnSync('fio', ['--version']).error ? 'fio is not installed' : undefined
}

/** Runs one job with all that io_uring can register for it. */
function runFio(args: string[]): Job {
  const { stdout, stderr, status, error } = spawnSync('fio', [
    '--name=peer', '--ioengine=io_uring', '--registerfiles=1', '--fixedbufs=1',
    '--invalidate=0', // it would drop the file from the page cache
    '--output-format=json', ...args
  ], { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`fio: ${stderr}`)
  return (JSON.parse(stdout) as { jobs: Job[] }).jobs[0]
}

/** What one read took, by fio's own account: without the start of its process. */
export function fioReads({ path, bytes, direct, depth, count, seed }: Plan): Reads {
  const { read, usr_cpu, sys_cpu, job_runtime } = runFio([
    `--filename=${path}`, '--rw=randread', `--bs=${blockBytes}`, `--size=${bytes}`, `--io_size=${count * blockBytes}`,
    '--readonly', '--norandommap', `--randseed=${seed}`, `--direct=${direct ? 1 : 0}`, `--iodepth=${depth}`
  ])
  if (read.total_ios !== count) throw new Error(`fio read ${read.total_ios} blocks where ${count} were expected`)
  return {
    seconds: read.runtime / 1e3 / count,
    processorSeconds: (usr_cpu + sys_cpu) / 100 * job_runtime / 1e3 / count
  }
}

/** The seconds that a whole file took past the page cache, 1 MiB at a time and 8 at once. A new one is preallocated, and of zeros. */
export function fioDirect(how: 'read' | 'write', path: string, bytes: number): number {
  const job = runFio([`--filename=${path}`, `--rw=${how}`, '--bs=1M', `--size=${bytes}`, '--direct=1', '--iodepth=8', '--fallocate=native', '--zero_buffers'])
  const { io_bytes, runtime } = job[how]
  if (io_bytes !== bytes) throw new Error(`fio moved ${io_bytes} bytes where ${bytes} were expected`)
  return runtime / 1e3
}
