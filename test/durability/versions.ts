/** The content of a version of the file that the killed writer replaces: begins with its number, and has its own length. */
export function versionOf(number: number): Buffer {
  const content = Buffer.alloc(10_000 + number % 7 * 1111, number % 251)
  content.writeUInt32LE(number, 0)
  return content
}

/** Whether a file is a whole version. */
export function isVersion(content: Buffer): boolean {
  return content.length >= 4 && versionOf(content.readUInt32LE(0)).equals(content)
}
