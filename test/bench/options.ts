// The command line of `npm run bench`.
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

export interface Options { only: string[]; rounds: number; size: number; seed: number; dir: string; json: string | undefined }

const mebibyte = 1 << 20

export const usage = `npm run bench -- [options]
  --only TEXT    only the rows with this in their names; may be given again
  --rounds N     rounds of each row (7)
  --size BYTES   bytes of the file, a multiple of 1 MiB; 64M and 1G are understood (1G)
  --seed N       of what is chosen at random (another one in each run)
  --dir PATH     where the files are made (the directory for temporary files)
  --json FILE    write every figure there
  --quick        3 rounds of 256M, unless said otherwise: for a look during development`

/** The options, or undefined when help was asked for. */
export function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      size: { type: 'string' },
      seed: { type: 'string' },
      dir: { type: 'string', default: tmpdir() },
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (values.help) return undefined
  return {
    only: values.only!,
    rounds: parseCount('--rounds', values.rounds ?? (values.quick ? '3' : '7')),
    size: parseSize(values.size ?? (values.quick ? '256M' : '1G')),
    seed: parseCount('--seed', values.seed ?? String(1 + Math.floor(Math.random() * 0xffff_ffff))),
    dir: values.dir!,
    json: values.json
  }
}

function parseCount(name: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${name} must be a whole number from 1 on, not '${text}'`)
  return Number(text)
}

function parseSize(text: string): number {
  const [, number, unit] = /^(\d+)([KMG]?)$/.exec(text) ?? []
  const size = Number(number) * 1024 ** ' KMG'.indexOf(unit || ' ')
  if (!(size > 0 && size % mebibyte === 0)) throw new Error(`--size must be a multiple of 1 MiB, not '${text}'`)
  return size
}
