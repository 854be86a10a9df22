/** Failures, for people and for programs. */

/** What a failure of the tool's own is to programs: the system's code where there is one for it. */
export function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** `{"error":{"code":"ENOENT","message":"ENOENT: no such file…"}}`; the code is null where there is none. */
export function failureInJson(error: Error): string {
  const { code, message } = error as NodeJS.ErrnoException
  return JSON.stringify({ error: { code: code ?? null, message } })
}
