/** Runs uring-copy as its users do: as a program of its own. */
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { closeSync, constants, openSync, read, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { patience } from './patience.js'

export const tool = fileURLToPath(new URL('../../examples/copy.js', import.meta.url))

export interface Outcome {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A program that was started, with what it has printed so far. */
export class Running {
  stdout = ''
  stderr = ''
  readonly ended: Promise<Outcome>
  readonly #texts = new EventEmitter()

  constructor(readonly child: ChildProcess) {
    // A test that fails leaves nothing behind that would keep it from ending.
    const kill = (): void => { child.kill('SIGKILL') }
    process.once('exit', kill)
    child.once('exit', () => process.off('exit', kill))
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', text => {
        this[name] += text
        this.#texts.emit('text')
      })
    }
    this.ended = once(child, 'close').then(([code, signal]) => {
      return { code, signal, stdout: this.stdout, stderr: this.stderr }
    })
  }

  /** Waits until what it prints, on either stream, matches. It is killed if that takes far too long. */
  async printed(pattern: RegExp): Promise<RegExpMatchArray> {
    const tooLong = setTimeout(() => this.child.kill('SIGKILL'), 300_000 * patience)
    try {
      return await this.#printed(pattern)
    } finally {
      clearTimeout(tooLong)
    }
  }

  async #printed(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr)
      if (match !== null) return match
      const outcome = await Promise.race([this.ended, once(this.#texts, 'text')])
      if ('code' in outcome) throw new Error(`ended without printing ${pattern}: ${JSON.stringify(outcome)}`)
    }
  }
}

/** The tool's command. Without the options by which tap would load itself into it. */
export const command = ['env', '-u', 'NODE_OPTIONS', process.execPath, tool]

export function start(program: string, args: string[], options: SpawnOptions = {}): Running {
  return new Running(spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options }))
}

interface CopyToolOptions extends SpawnOptions {
  /** A command that runs the tool. */
  wrap?: string[]
}

/** Starts the tool. @param env beside this process's own */
export function startCopy(args: string[], env: NodeJS.ProcessEnv = {}, { wrap = [], ...options }: CopyToolOptions = {}): Running {
  const [program, ...rest] = [...wrap, ...command, ...args]
  return start(program, rest, { env: { ...process.env, ...env }, ...options })
}

export function copy(args: string[], env?: NodeJS.ProcessEnv): Promise<Outcome> {
  return startCopy(args, env).ended
}

/** Runs the tool by a shell, after `setup`. */
export function copyAfter(setup: string, args: string[]): Promise<Outcome> {
  return start('/bin/sh', ['-c', `${setup}; exec "$@"`, 'sh', ...command, ...args]).ended
}

/** The same bytes at each call, no block of them like another. */
export function content(bytes: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(bytes))
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function sha256OfFile(path: string): string {
  return sha256(readFileSync(path))
}

/** A named pipe, by which a test decides how far a copy gets. */
export class Fifo {
  readonly #fd: number
  /** That feeds: no thread, in which a write nobody reads would keep this process from ending. */
  #feeder: Socket | null = null

  constructor(readonly path: string) {
    execFileSync('mkfifo', [path])
    // Open at both ends, so that neither this nor the tool's opening waits for the other.
    this.#fd = openSync(path, constants.O_RDWR)
  }

  /** Resolves when the reader has taken all but what the pipe itself holds, 64 KiB. Rejects when it has ended before that. */
  async feed(bytes: Buffer, reader?: Running): Promise<void> {
    const feeder = this.#feeder ??= new Socket({ fd: this.#fd, readable: false, writable: true })
    const fed = new Promise<void>((resolve, reject) => feeder.write(bytes, error => error == null ? resolve() : reject(error)))
    const early = reader?.ended.then(outcome => {
      this.close()
      throw new Error(`ended before it had read everything: ${JSON.stringify(outcome)}`)
    })
    await (early === undefined ? fed : Promise.race([fed, early]))
  }

  async drain(bytes: number): Promise<Buffer> {
    const drained = Buffer.alloc(bytes)
    for (let got = 0; got < bytes;) {
      got += (await promisify(read)(this.#fd, drained, got, bytes - got, null)).bytesRead
    }
    return drained
  }

  /** The reader comes to the end when it has taken the rest. */
  close(): void {
    if (this.#feeder === null) closeSync(this.#fd)
    else this.#feeder.destroy()
  }
}
