// Opens a file as another user and tells the error: node other-user-child.js read|write PATH UID
import fs from 'node:fs'
import { createUringReadStream, createUringWriteStream } from '../../lib/index.js'
import { closing, recordEvents, shapeOf } from './stream-events.js'

const [, , direction, path, user] = process.argv
// Only here, not by spawn's uid: the other user need not be able to read the directory of this program.
if (user) {
  process.setgroups?.([])
  process.setgid?.(Number(user))
  process.setuid?.(Number(user))
}
const stream = direction === 'read' ? createUringReadStream(path) : createUringWriteStream(path)
const events = recordEvents(stream, ['open', 'ready', 'data', 'finish', 'end', 'error', 'close'])
const error = shapeOf(await closing(stream))
const expected = shapeOf(await closing(direction === 'read' ? fs.createReadStream(path) : fs.createWriteStream(path)))
console.log(JSON.stringify({ error, expected, events }))
