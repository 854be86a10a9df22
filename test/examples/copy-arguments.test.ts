/** uring-copy: its command line. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { CopyOptions } from '../../examples/copy/arguments.js'
import { parseArguments } from '../../examples/copy/arguments.js'
import { probe, Ring } from '../../lib/index.js'
import { copy, tool } from '../helpers/copy-tool.js'

function parsed(...args: string[]): CopyOptions {
  const options = parseArguments([...args, 'from', 'to'])
  if ('text' in options) throw new Error(`a text instead of options: ${options.text}`)
  return options
}

t.test('options are read, in any order, and after -- everything is a path', async t => {
  const defaults = parsed()
  t.match(defaults, { source: 'from', target: 'to', force: false, report: 'progress' })
  t.match(parsed('--force'), { ...defaults, force: true })
  t.match(parsed('-f', '-q'), { ...defaults, force: true, report: 'quiet' })
  t.match(parsed('--json', '--quiet'), { ...defaults, report: 'json' })
  t.match(parsed('--depth', '9'), { ...defaults, depth: 9 })
  t.match(parseArguments(['a', '-q', 'b']), { source: 'a', target: 'b', report: 'quiet' })
  t.match(parseArguments(['--', '-f', '--json']), { source: '-f', target: '--json', force: false })
})

t.test('sizes are in bytes, or in KiB, MiB and GiB', async t => {
  const sizes = { 1: 1, 65536: 65536, '4K': 4096, '256k': 262144, '1M': 1048576, '1g': 1073741824 }
  for (const [text, bytes] of Object.entries(sizes)) {
    t.equal(parsed('--chunk-size', text).chunkSize, bytes, text)
  }
})

t.test('what makes no sense is refused with a word on why', async t => {
  const refused = (args: string[], message: string | RegExp): void => {
    t.throws(() => parseArguments(args), { message }, args.join(' '))
  }
  refused([], 'SOURCE and TARGET are needed; paths given: 0')
  refused(['a'], 'SOURCE and TARGET are needed; paths given: 1')
  refused(['a', '', 'c'], 'an empty string is no path')
  refused(['', 'b'], 'an empty string is no path')
  refused(['a\ufffd', 'b'], /^'a\ufffd' is no UTF-8/)
  refused(['--fast', 'a', 'b'], 'Unknown option \'--fast\' (after -- it is a path)')
  refused(['-rx', 'a', 'b'], 'Unknown option \'-x\' (after -- it is a path)')
  refused(['--force=yes', 'a', 'b'], 'Option \'-f, --force\' does not take an argument')
  refused(['a', 'b', '--depth'], 'Option \'--depth <value>\' argument missing')
  refused(['--depth', '-1', 'a', 'b'], 'Option \'--depth\' argument missing')
  for (const depth of ['0', '1025', '-1', '1.5', 'many', '']) {
    refused([`--depth=${depth}`, 'a', 'b'], `--depth takes a whole number from 1 to 1024, not '${depth}'`)
  }
  for (const size of ['0', '0K', '2G', '-1', '1.5M', '1T', 'K', '1MB', '']) {
    refused([`--chunk-size=${size}`, 'a', 'b'], `--chunk-size takes 1 to 1G, such as 65536, 256K or 1M, not '${size}'`)
  }
  refused(['--chunk-size=6K', '--direct', 'a', 'b'], '--chunk-size takes a multiple of 4K with --direct, not \'6K\'')
})

t.test('a wrong usage is one line that names --help, exit code 2, and nothing is touched', async t => {
  const dir = t.testdir({ source: 'x' })
  const [source, target] = [join(dir, 'source'), join(dir, 'target')]
  for (const args of [[source], ['--fast', source, target], ['--depth=0', source, target]]) {
    const { code, stdout, stderr } = await copy(args)
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, /^uring-copy: [^\n]* \(see uring-copy --help\)\n$/)
  }
  t.notOk(existsSync(target))
})

t.test('--doctor tells what probe() does, with --json in JSON', async t => {
  const { engine } = Ring.shared().stats()
  t.match(await copy(['--doctor']), { code: 0, stdout: new RegExp(`^engine +${engine}: .*\nio_uring +`), stderr: '' })
  const { code, stdout } = await copy(['--doctor', '--json'])
  const { memlock, ...probed } = probe()
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { engine, ...probed, memlock: memlock === Infinity ? 'none' : memlock })
})

t.test('--help names every option, and --version is that of the package', async t => {
  const help = await copy(['--help', '--version'])
  t.equal(help.code, 0)
  t.equal(help.stderr, '')
  t.match(help.stdout, /^Usage: uring-copy \[options\] SOURCE TARGET\n/)
  for (const option of ['--force', '--quiet', '--json', '--chunk-size', '--depth', '--help', '--version']) {
    t.match(help.stdout, option)
  }
  for (const line of help.stdout.split('\n')) t.ok(line.length <= 80, line)
  const version = await copy(['--version'])
  const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  t.equal(version.stdout, `${manifest.version}\n`)
  t.equal(version.code, 0)
})

t.test('the compiled program can be run as a command', async t => {
  t.match(readFileSync(tool, 'utf8'), /^#!\/usr\/bin\/env node\n/)
})
