// Tells the sha256 of its standard input, read as descriptor 0.
import { createUringReadStream } from '../../lib/index.js'
import { readAll } from './stream-events.js'
import { sha256 } from './seeded.js'

console.log(sha256(await readAll(createUringReadStream('', { fd: 0 }))))
