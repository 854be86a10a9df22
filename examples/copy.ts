#!/usr/bin/env node
/** uring-copy: copies files by copyFile, with a progress bar. */
import { writeSync } from 'node:fs'
import type { CopyOptions } from './copy/arguments.js'
import { parseArguments, UsageError } from './copy/arguments.js'
import { Copy } from './copy/copy.js'
import { failure, failureInJson } from './copy/failure.js'
import { stillThere } from './copy/file-options.js'
import { formatBytes, plainLine, plainName } from './copy/format.js'
import { Interruption } from './copy/interruption.js'
import { Job } from './copy/job.js'
import { startProgress, summary } from './copy/progress.js'

const failed = 1
const misused = 2

const args = process.argv.slice(2)
/** Also of arguments that make no sense. */
const inJson = args.slice(0, args.indexOf('--') >>> 0).includes('--json')

/** A line for people. */
function complaint(message: string): string {
  return `uring-copy: ${plainLine(message)}\n`
}

function complain(message: string): void {
  process.stderr.write(complaint(message))
}

/** A line for people, and with --json one for programs. */
async function tellFailure(error: Error, hint = ''): Promise<void> {
  complain(error.message + hint)
  if (inJson) await print(`${failureInJson(error)}\n`).catch(() => {}) // it may be this that has failed
}

/** @param error of the copy that has stopped */
function interrupted(name: string, error: object = {}): Error {
  return failure(name, `interrupted by ${name}${stillThere(error)}`)
}

/** The same before the process ends by a signal. */
function tellAtOnce(error: Error): void {
  try {
    writeSync(2, complaint(error.message))
    if (inJson) writeSync(1, `${failureInJson(error)}\n`)
  } catch {
    // Nobody is there to read it.
  }
}

/** Writes to standard output. A reader that has gone away wanted no more; any other failure is thrown. */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, error => error == null || isBrokenPipe(error) ? resolve() : reject(error))
  })
}

function isBrokenPipe(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code === 'EPIPE'
}

/** Gives the exit code. */
async function tellPlan(options: CopyOptions): Promise<number> {
  const job = new Job(options)
  const { directories, links, files, bytes } = await job.foresee()
  if (options.report === 'json') {
    await print(`${JSON.stringify({ ...job.counts, bytes })}\n`)
    return tellSkipped(job)
  }
  const lines = [...directories, ...links, ...files].map(({ source, target }) => `${plainLine(`${source}`)} -> ${plainLine(`${target}`)}\n`)
  await print(`${lines.join('')}${files.length} file${files.length === 1 ? '' : 's'}, ${formatBytes(bytes)}\n`)
  return tellSkipped(job)
}

/** Of what could not be copied beside the rest. Gives the exit code. */
function tellSkipped({ skipped }: { skipped: string[] }): number {
  skipped.forEach(complain)
  return skipped.length > 0 ? failed : 0
}

async function main(): Promise<number> {
  const options = parseArguments(args)
  if ('text' in options) {
    await print(options.text)
    return 0
  }
  if (options.dryRun) return tellPlan(options)
  const one = options.sources!.length === 1 && !options.recursive
  const copy = one ? new Copy(options) : new Job(options)
  const interruption = new Interruption(name => tellAtOnce(interrupted(name)))
  const progress = startProgress(copy, options.report)
  try {
    const result = await copy.run(interruption.signal)
    progress.stop()
    if (options.report === 'json') await print(`${JSON.stringify(result)}\n`)
    if (options.report === 'progress') process.stderr.write(`${plainName(copy.source)}: ${summary(result)}\n`)
    return tellSkipped(copy)
  } catch (error) {
    progress.stop()
    const { name, exitCode } = interruption
    await tellFailure(name === null ? error as Error : interrupted(name, error as Error))
    return exitCode ?? failed
  }
}

// Nobody may be there to read what is printed; that is no reason to stop copying, nor to crash.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

try {
  process.exitCode = await main()
} catch (error) {
  const usage = error instanceof UsageError
  await tellFailure(error as Error, usage ? ' (see uring-copy --help)' : '')
  process.exitCode = usage ? misused : failed
}
