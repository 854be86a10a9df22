/** Several sources that meet in one directory. */
import { keyOf } from './places.js'
import type { Entry, Tree } from './tree.js'

/** As cp -r merges them: directories are one, and of files and links the last one is copied, but only with --force. */
export class Merging {
  readonly #entries = new Map<string, Entry>()
  readonly #preserve: boolean
  readonly #force: boolean

  constructor(force: boolean, preserve: boolean) {
    this.#force = force
    this.#preserve = preserve
  }

  /** A file that is named on the command line replaces none, as with cp. @throws if something has that place */
  refuseTwice(target: string): void {
    if (this.#entries.has(keyOf(target))) throw new Error(`two of the sources would be '${target}'`)
  }

  /** Whether it has taken the place of another, and need not be added. @throws where that is not to be */
  takesPlace(entry: Entry, tree: Tree): boolean {
    const key = keyOf(entry.target)
    const earlier = this.#entries.get(key)
    if (earlier === undefined) {
      this.#entries.set(key, entry)
      return false
    }
    if (earlier.stats.isDirectory() && entry.stats.isDirectory()) {
      // The first one is made, the attributes of all are set in turn.
      if (this.#preserve) replace(earlier, entry)
      return true
    }
    this.#refuse(earlier, entry)
    replaceIn(tree, earlier, entry)
    return true
  }

  #refuse(earlier: Entry, { source, target, stats }: Entry): void {
    const both = `'${earlier.source.toString()}' and '${source.toString()}' would both be '${target.toString()}'`
    if (earlier.stats.isDirectory() || stats.isDirectory()) throw new Error(`${both}, and one of them is a directory`)
    if (!this.#force) throw new Error(`${both} (--force takes the last)`)
  }
}

function replace(earlier: Entry, { source, stats }: Entry): void {
  Object.assign(earlier, { source, stats })
}

/** Of files and links. */
function replaceIn(tree: Tree, earlier: Entry, entry: Entry): void {
  const [was, is] = [earlier, entry].map(({ stats }) => stats.isSymbolicLink() ? tree.links : tree.files)
  replace(earlier, entry)
  if (was === is) return
  was.splice(was.indexOf(earlier), 1)
  is.push(earlier)
}
