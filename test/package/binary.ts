/** What a binary of the addon is made of, read by readelf. */
import { execFileSync } from 'node:child_process'

export interface Binary {
  machine: string
  /** Whether it still has the symbols of its insides. */
  symbols: boolean
  libraries: string[]
  /** Symbols it takes from elsewhere, with their versions: close@GLIBC_2.2.5. */
  needed: string[]
}

function readelf(option: string, path: string): string {
  return execFileSync('readelf', ['-W', option, path], { encoding: 'utf8', maxBuffer: 1 << 24 })
}

const symbol = /^\s*\d+: \S+\s+\d+ \S+\s+(\S+)\s+\S+\s+(\S+) (\S+)/

function symbols(path: string): { name: string, weak: boolean, defined: boolean }[] {
  return readelf('--dyn-syms', path).split('\n').flatMap(line => {
    const match = symbol.exec(line)
    return match === null ? [] : [{ name: match[3], weak: match[1] === 'WEAK', defined: match[2] !== 'UND' }]
  })
}

export function inspectBinary(path: string): Binary {
  return {
    machine: /Machine:\s+(.*)/.exec(readelf('-h', path))![1],
    symbols: readelf('-S', path).includes('.symtab'),
    libraries: [...readelf('-d', path).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(match => match[1]),
    // A weak one may be absent, but for those that libstdc++ takes for a program without threads.
    needed: symbols(path).filter(each => !each.defined && (!each.weak || each.name.includes('pthread'))).map(each => each.name)
  }
}

/** The names that a library gives. */
export function definedBy(library: string): Set<string> {
  return new Set(symbols(library).filter(each => each.defined).map(each => each.name.split('@')[0]))
}
