/** The README's programs are ones that TypeScript takes, and its values have the types that they are shown for. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'

const root = fileURLToPath(new URL('../../..', import.meta.url))
/** What the programs have from elsewhere. */
const given = `
declare const hash: import('node:crypto').Hash, buffer: Buffer
`
const stats = "const shown: ReturnType<import('uring-streams').Ring['stats']> = "

/** Each in a module of its own: a value is shown for what `stats()` returns. */
function programs(): Map<string, string> {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code], index): [string, string] => {
    const program = code.startsWith('{') ? `${stats}${code}` : code
    // The line that needs no import has it from the program before.
    const imports = program.includes('import ') ? '' : "import { createUringReadStream, createUringWriteStream } from 'uring-streams'\n"
    return [join(root, `readme-${index + 1}.mts`), `${imports}${program}${given}export {}\n`]
  })
  return new Map(blocks)
}

t.test('the programs of the README', async t => {
  const files = programs()
  t.ok(files.size >= 6, `${files.size} programs`)
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2023.d.ts'], strict: true, skipLibCheck: true, noEmit: true, types: ['node']
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists, readFile } = host
  host.getCurrentDirectory = () => root
  host.fileExists = path => files.has(path) || fileExists(path)
  host.readFile = path => files.get(path) ?? readFile(path)
  host.getSourceFile = (path, version, ...rest) => {
    const text = files.get(path)
    return text === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, text, version, true)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  for (const file of files.keys()) {
    const source = program.getSourceFile(file)!
    const wrong = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    t.same(wrong.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')), [], files.get(file)!.split('\n')[0])
  }
})
