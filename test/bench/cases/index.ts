// Every row, in the order of the table. A new group is a file that exports its rows, and a line here.
import type { Row } from '../harness.js'
import { concurrentRows } from './concurrent.js'
import { copyRows } from './copy.js'
import { directRows } from './direct.js'
import { hashRows } from './hash.js'
import { manyReadersRows } from './many-readers.js'
import { memoryRows } from './memory.js'
import { nopRows } from './nop.js'
import { pipeRows } from './pipe.js'
import { randomRows } from './random.js'
import { readRows } from './read.js'
import { smallFileRows } from './small-file.js'
import { streamxRows } from './streamx.js'
import { webRows } from './web.js'
import { writeRows } from './write.js'

export const rows: Row[] = [
  ...readRows,
  ...hashRows,
  ...writeRows,
  ...pipeRows,
  ...copyRows,
  ...directRows,
  ...nopRows,
  ...randomRows,
  ...manyReadersRows,
  ...memoryRows,
  ...smallFileRows,
  ...concurrentRows,
  ...webRows,
  ...streamxRows
]
