/** How much longer than usual to wait for what hangs: emulated machines are slow. */
export const patience = Number(process.env.URING_STREAMS_TEST_PATIENCE ?? 1)
