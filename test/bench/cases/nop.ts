// What one operation costs that does nothing, through the promise API.
import { Ring, ops } from '../../../lib/index.js';
import { perOperation } from '../format.js';
import { seconds } from '../harness.js';
import type { Case, Row } from '../harness.js';

/** `inFlight` loops that each await their own operation keep that many in flight until the last ones. */
async function nops(count: number, inFlight: number): Promise<void> {
  const ring = Ring.shared();
  let left = count;
  const loop = async () => {
    while (left > 0) {
      left--;
      const { result } = await ring.submit(ops.nop());
      if (result !== 0) throw new Error(`a nop gave ${result}`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
}

function nopCase(name: string, inFlight: number, count: number): Case {
  const round = async () => {
    const completedBefore = Ring.shared().stats().completed;
    const taken = await seconds(() => nops(count, inFlight));
    const completed = Ring.shared().stats().completed - completedBefore;
    if (completed < count) throw new Error(`${completed} of ${count} nops completed`);
    return taken / count;
  };
  // A whole round, for the compiler to have seen the loop.
  return { name, verify: async () => { await round(); }, round };
}

export const nopRows: Row[] = [{
  name: 'ops.nop, promises',
  note: 'per operation; `await ring.submit(ops.nop())` in as many loops as are in flight',
  cases: () => [
    nopCase('1 in flight', 1, 200_000),
    nopCase('32 in flight', 32, 1_000_000),
    nopCase('1024 in flight', 1024, 2_000_000),
  ],
  goals: [
    { ours: '1 in flight', atMost: 1.5e-6 },
    { ours: '32 in flight' },
    { ours: '1024 in flight', atMost: 250e-9 },
  ],
  format: perOperation,
}];
