import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import { every, type Interval } from '../interval.js';

/** Rows that nobody needs after a time. */
export interface Aged {
  readonly name: string;
  readonly keepMs: number;
  /** Deletes at most `limit` of those older; returns how many. */
  readonly purge: (beforeMs: number, limit: number) => Promise<number>;
}

const intervalMs = 3_600_000;
const page = 2_000;

/** Purges by age, every hour, a page at a time so that no lock is held for long. */
export class Purger {
  readonly #rounds: Interval;

  constructor(
    private readonly aged: readonly Aged[],
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const round = async (signal: AbortSignal): Promise<void> => void (await this.runOnce(signal));
    this.#rounds = every(intervalMs, 'the purge', round, { clock, log });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Ends after the page under way. */
  async close(): Promise<void> {
    await this.#rounds.close();
  }

  /** One kind that cannot be purged must not keep the others. */
  async runOnce(signal?: AbortSignal): Promise<Readonly<Record<string, number>>> {
    const purged: Record<string, number> = {};
    for (const { name, keepMs, purge } of this.aged) {
      try {
        purged[name] = await all(this.clock.nowMs() - keepMs, purge, signal);
      } catch (error) {
        this.log.warn('not purged', { name, why: String(error) });
      }
    }
    return purged;
  }
}

async function all(
  beforeMs: number,
  purge: Aged['purge'],
  signal: AbortSignal | undefined,
): Promise<number> {
  for (let total = 0; ;) {
    const some = await purge(beforeMs, page);
    total += some;
    if (some < page || signal?.aborted === true) return total;
  }
}
