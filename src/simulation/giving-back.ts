import type { MemoryDatabase } from './memory-database.js';

/** Withdrawals that have ended, with a debit on its way back and a wake-up for it. */
export const givingBack = ({ flows, inFlight }: MemoryDatabase): readonly string[] =>
  [...flows.withdrawals.values()]
    .filter((row) => row['gives_back'] === 1)
    .map(({ id }) => String(id))
    .filter((id) => (inFlight.get(id)?.['wake_at'] ?? null) !== null);
