/** The ways in which FileHandle's users say what to read and write. */
import { types } from 'node:util'
import { invalidArgType, invalidArgValue } from './errors.js'
import type { Memory } from './memory.js'
import { bytesOf } from './memory.js'
import { validateInteger, validatePosition } from './options.js'

/** Where in a file: a number or bigint; null, undefined or -1 is the file's own position. */
export type Position = number | bigint | null | undefined

/** Part of a buffer, and a place in a file. */
export interface TransferOptions {
  /** First byte in the buffer. Default 0. */
  offset?: number | null | undefined
  /** Bytes. Default: the rest of the buffer. */
  length?: number | null | undefined
  /** Default: the file's own. */
  position?: Position
}

/** What is to be read or written, checked. */
export interface Transfer<B> {
  /** As the caller gave it. */
  buffer: B
  bytes: Uint8Array
  /** Null: the file's own position. */
  position: number | bigint | null
}

/** @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
export function positionOf(position: Position): number | bigint | null {
  if (position == null || position === -1 || position === -1n) return null
  validatePosition(position)
  return position
}

function transferOf<B extends Memory>(buffer: B, { offset, length, position }: TransferOptions): Transfer<B> {
  const all = bytesOf(buffer, 'buffer')
  const first = offset ?? 0
  validateInteger(first, 'offset', 0, all.byteLength)
  const count = length ?? all.byteLength - first
  validateInteger(count, 'length', 0, all.byteLength - first)
  const bytes = count === all.byteLength ? all : all.subarray(first, first + count)
  return { buffer, bytes, position: positionOf(position) }
}

/** An object that is not memory itself. */
function isOptions(value: unknown): value is TransferOptions & { buffer?: Memory } {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !types.isAnyArrayBuffer(value)
}

/** FileHandle reads into so many bytes of its own when it is given none. */
const readBytesDefault = 16 * 1024

/**
 * `(buffer, offset, length, position)`, `(buffer, options)` or `({ buffer, ...options })`.
 * @throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE
 */
export function readArguments(args: readonly unknown[]): Transfer<Memory> {
  const [first, second, length, position] = args
  const own = first == null || isOptions(first)
  const memory = own ? first?.buffer ?? Buffer.alloc(readBytesDefault) : first as Memory
  const options = own ? first ?? {} : second
  const wanted = isOptions(options)
    ? options
    : { offset: second as number, length: length as number, position: position as Position }
  const { byteLength } = bytesOf(memory, 'buffer')
  if (wanted.offset != null) validateInteger(wanted.offset, 'offset', 0)
  const count = wanted.length ?? byteLength - (wanted.offset ?? 0)
  // FileHandle looks at nothing else where nothing is wanted, and at the rest only where there is room at all.
  if (count === 0) return { buffer: memory, bytes: new Uint8Array(0), position: null }
  if (byteLength === 0) throw invalidArgValue('buffer', memory, 'is empty and cannot be written')
  return transferOf(memory, wanted)
}

/**
 * `(buffer, offset, length, position)`, `(buffer, options)` or `(string, position, encoding)`.
 * @throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
export function writeArguments(args: readonly unknown[]): Transfer<Memory | string> {
  const [first, second, third, position] = args
  if (typeof first === 'string') {
    const encoding = (third ?? 'utf8') as BufferEncoding
    if (!Buffer.isEncoding(encoding)) throw invalidArgValue('encoding', third, 'is invalid encoding')
    const half = encoding.toLowerCase() === 'hex' && first.length % 2 !== 0
    if (half) throw invalidArgValue('encoding', encoding, `is invalid for data of length ${first.length}`)
    return { buffer: first, bytes: Buffer.from(first, encoding), position: positionOf(second as Position) }
  }
  // As FileHandle: of nothing, nothing else is looked at.
  if (bytesOf(first as Memory, 'buffer').byteLength === 0) return { buffer: first as Memory, bytes: new Uint8Array(0), position: null }
  if (isOptions(second)) return transferOf(first as Memory, second)
  return transferOf(first as Memory, { offset: second as number, length: third as number, position: position as Position })
}

/** @throws ERR_INVALID_ARG_TYPE */
export function vectorArguments(buffers: unknown): Uint8Array[] {
  if (!Array.isArray(buffers)) throw invalidArgType('buffers', 'an instance of ArrayBufferView[]', buffers)
  return buffers.map((each, index) => bytesOf(each as Memory, `buffers[${index}]`))
}
