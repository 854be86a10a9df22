// fio, the peer of random reads.
import { spawnSync } from 'node:child_process';
import type { Plan } from './random-reads.js';
import { blockBytes } from './random-reads.js';

interface Job {
  read: { total_ios: number; runtime: number };
  /** Per cent of job_runtime. */
  usr_cpu: number;
  sys_cpu: number;
  /** Milliseconds. */
  job_runtime: number;
}

export interface Reads { seconds: number; processorSeconds: number }

/** Why it cannot be run, if it cannot. */
export function fioMissing(): string | undefined {
  return spawnSync('fio', ['--version']).error ? 'fio is not installed' : undefined;
}

/** What one read took, by fio's own account: without the start of its process. */
export function fioReads({ path, bytes, direct, depth, count, seed }: Plan): Reads {
  const { stdout, stderr, status, error } = spawnSync('fio', [
    '--name=peer', `--filename=${path}`, '--rw=randread', `--bs=${blockBytes}`, `--size=${bytes}`, `--io_size=${count * blockBytes}`,
    '--readonly', '--norandommap', `--randseed=${seed}`, `--direct=${direct ? 1 : 0}`, `--iodepth=${depth}`,
    '--ioengine=io_uring', '--registerfiles=1', '--fixedbufs=1',
    '--invalidate=0', // it would drop the file from the page cache
    '--output-format=json',
  ], { encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`fio: ${stderr}`);
  const [{ read, usr_cpu, sys_cpu, job_runtime }] = (JSON.parse(stdout) as { jobs: Job[] }).jobs;
  if (read.total_ios !== count) throw new Error(`fio read ${read.total_ios} blocks where ${count} were expected`);
  return {
    seconds: read.runtime / 1e3 / count,
    processorSeconds: (usr_cpu + sys_cpu) / 100 * job_runtime / 1e3 / count,
  };
}
