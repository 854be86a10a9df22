// Makes prebuilds/: the addon for two processors and two C libraries, by the compilers of a Debian for x64.
//   npm run prebuild                        makes those that are older than their sources
//   node binding/prebuild.js --check        makes none, and fails if there are such
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gypEnv } from './build.js'
import { files, stamp } from './stamp.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** By processor: the prefix of its tools, where its kernel headers are, and what the tools do not do by themselves. */
const processors = {
  x64: { tools: 'x86_64-linux-gnu-', kernel: ['/usr/include', '/usr/include/x86_64-linux-gnu'], flags: '' },
  // Outlined atomics would ask glibc which instructions there are.
  arm64: { tools: 'aarch64-linux-gnu-', kernel: ['/usr/aarch64-linux-gnu/include'], flags: '-mno-outline-atomics' }
}

const targets = Object.keys(processors).flatMap(arch => ['glibc', 'musl'].map(libc => {
  const file = join(root, `prebuilds/linux-${arch}/uring-streams.${libc}.node`)
  return { ...processors[arch], arch, libc, file }
}))

const isFresh = ({ file }) => existsSync(file) && readFileSync(file).includes(stamp())

/** The Debian packages that are missing, by a file of each. */
function missingPackages() {
  const needed = {
    'g++': '/usr/bin/x86_64-linux-gnu-g++',
    make: '/usr/bin/make',
    python3: '/usr/bin/python3',
    'g++-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-g++',
    'linux-libc-dev-arm64-cross': '/usr/aarch64-linux-gnu/include/linux/io_uring.h',
    'musl-dev:amd64': '/usr/include/x86_64-linux-musl/stdio.h',
    'musl-dev:arm64': '/usr/include/aarch64-linux-musl/stdio.h'
  }
  return Object.keys(needed).filter(name => !existsSync(needed[name]))
}

/** g++'s headers without those of glibc, and musl's and the kernel's instead. */
function muslFlags({ tools, kernel }, directory) {
  const triple = `${tools}musl`.replace('gnu-', '')
  const { stderr } = spawnSync(`${tools}g++`, ['-E', '-v', '-x', 'c++', '/dev/null'], { encoding: 'utf8' })
  const searched = stderr.split('\n').filter(line => /^ \/\S+$/.test(line)).map(line => resolve(line.trim()))
  const own = searched.filter(each => each.includes('/c++/') || each.startsWith('/usr/lib/gcc'))
  for (const name of ['linux', 'asm', 'asm-generic']) {
    symlinkSync(kernel.map(each => join(each, name)).find(existsSync), join(directory, name))
  }
  const includes = [...own, `/usr/include/${triple}`, directory].map(each => `-isystem ${each}`)
  return `-nostdinc ${includes.join(' ')} -include ${join(directory, 'binding/musl.h')} -L/usr/lib/${triple}`
}

/** In a copy of the sources: build/ stays what it is. */
function prebuild(target) {
  const { arch, libc, tools } = target
  const directory = mkdtempSync(join(tmpdir(), 'uring-streams-prebuild-'))
  try {
    for (const file of [...files, 'package.json']) cpSync(join(root, file), join(directory, file))
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
    const musl = libc === 'musl' ? muslFlags(target, directory) : ''
    const env = {
      ...gypEnv(),
      // No library but libc: what else C++ needs is in runtime.cc.
      CXX: `${tools}g++ ${target.flags} ${musl} -nodefaultlibs`,
      PREBUILD_STRIP_BIN: `${tools}strip`
    }
    execFileSync('prebuildify', ['--napi', '--strip', `--arch=${arch}`, `--tag-libc=${libc}`, `--target=${process.versions.node}`,
      `--cwd=${directory}`, `--out=${root}`], { env, stdio: 'inherit' })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const stale = targets.filter(target => !isFresh(target))
if (process.argv.includes('--check')) {
  if (stale.length > 0) {
    console.error(`${stale.map(({ file }) => file).join(', ')}: missing or older than binding/; run npm run prebuild`)
    process.exitCode = 1
  }
} else if (stale.length > 0) {
  const missing = missingPackages()
  if (missing.length > 0) {
    console.error(`missing packages; run:\n  dpkg --add-architecture arm64 && apt-get update && apt-get install ${missing.join(' ')}`)
    process.exit(1)
  }
  stale.forEach(prebuild)
}
