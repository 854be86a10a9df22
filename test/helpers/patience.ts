/** Emulated machines are slow: so many times longer than usual to wait for what hangs, and as many times fewer random rounds. */
export const patience = Number(process.env.URING_STREAMS_TEST_PATIENCE ?? 1)
