// Compiles the addon if the binary that would be loaded is not made of the sources beside it: the one in build/Release,
// else the prebuilt ones for this processor.
//   node binding/build.js              fails if it cannot
//   node binding/build.js --optional   does not: without an addon everything runs on libuv's threads
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stamp } from './stamp.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const built = join(root, 'build/Release/uring_streams.node')
const prebuilds = join(root, `prebuilds/linux-${process.arch}`)

function binaries() {
  if (existsSync(built)) return [built]
  return existsSync(prebuilds) ? readdirSync(prebuilds).map(name => join(prebuilds, name)) : []
}

function isFresh() {
  const files = binaries()
  return files.length > 0 && files.every(file => readFileSync(file).includes(stamp()))
}

/** For node-gyp: all processors, and the headers that lie beside Node.js, where they do, instead of downloaded ones. */
export function gypEnv() {
  const nodedir = dirname(dirname(process.execPath))
  const headers = existsSync(join(nodedir, 'include/node/node_api.h')) ? { npm_config_nodedir: nodedir } : {}
  return { ...process.env, ...headers, npm_config_jobs: 'max' }
}

/** Null, or why it failed. */
function compile() {
  try {
    createRequire(import.meta.url).resolve('node-addon-api')
  } catch {
    return 'npm install node-addon-api beside it, then npm rebuild uring-streams'
  }
  const { status, error } = spawnSync('node-gyp', ['rebuild'], { cwd: root, env: gypEnv(), stdio: 'inherit' })
  return status === 0 ? null : `${error?.message ?? 'node-gyp failed'}; python3, make and g++ are needed`
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.platform === 'linux' && !isFresh()) {
  const failure = compile()
  if (failure !== null) {
    console.error(`uring-streams: there is no binary for linux-${process.arch} of these sources, and none was built: ${failure}.`)
    console.error('uring-streams: without it everything runs on libuv\'s threads.')
    if (!process.argv.includes('--optional')) process.exitCode = 1
  }
}
