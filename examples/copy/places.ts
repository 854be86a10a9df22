/** Where things are: paths of names in directories. */
import { isUtf8 } from 'node:buffer'
import { basename, dirname } from 'node:path'

/** A string where it is UTF-8; other names are kept byte for byte. */
export type Path = string | Buffer

/** Not by node:path's `join`, which takes `link/..` away: that is the parent of where the link leads. */
export function inside(directory: Path, name: string | Buffer): Path {
  const parent = typeof directory === 'string' ? directory.replace(/\/\.?$/, '') : directory
  if (typeof parent === 'string' && (typeof name === 'string' || isUtf8(name))) return `${parent}/${name.toString()}`
  return Buffer.concat([Buffer.from(parent as string), Buffer.from('/'), Buffer.from(name as string)])
}

/** Where a source goes in a directory: under its own name. As with cp, what has none is the directory itself then. */
export function goalInside(directory: string, source: string): string {
  const name = basename(source)
  // With the dot also where a link leads to it.
  return inside(directory, ['', '..'].includes(name) ? '.' : name) as string
}

/** The directory of what `inside` has made, or of what was given. */
export function parentOf(path: Path): Path {
  if (typeof path === 'string') return dirname(path)
  const parent = Buffer.from(dirname(path.toString('latin1')), 'latin1')
  return isUtf8(parent) ? parent.toString() : parent
}

/** A name that is no UTF-8 is no string's. */
export function keyOf(path: Path): string {
  return typeof path === 'string' ? path : `\0${path.toString('latin1')}`
}
