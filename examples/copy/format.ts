/** Numbers and names for people. */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `512 B`, `1.5 KiB`, `4.0 GiB`. */
export function formatBytes(bytes: number): string {
  let unit = 0
  // Not 1024: what is rounded to that in one unit is 1.0 of the next.
  while (bytes >= 1023.95 && unit < units.length - 1) {
    bytes /= 1024
    unit++
  }
  return `${unit === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`
}

/** `0:07`, `12:34`, `1:02:03`. */
export function formatClock(seconds: number): string {
  const whole = Math.round(seconds)
  const two = (value: number): string => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`
}

/** `3 ms`, `2.1 s`, `12:34`. */
export function formatDuration(seconds: number): string {
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : formatClock(seconds)
}

/** The last part of a path, with nothing in it that a terminal would obey. */
export function plainName(path: string): string {
  return plainLine(path.replace(/\/+$/, '').replace(/^.*\//s, ''))
}

/** One line that a terminal only shows. */
export function plainLine(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, '?')
}

/** Columns that a text takes on a terminal, or a few more: scripts beyond the first few may be twice as wide. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of text) columns += character.codePointAt(0)! < 0x1100 ? 1 : 2
  return columns
}

/** As much of the end of a text as fits. */
export function shorten(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  const characters = [...text]
  while (columnsOf(characters.join('')) > columns - 1) characters.shift()
  return `…${characters.join('')}`
}
