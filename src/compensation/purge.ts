import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';

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
  readonly #stop = new AbortController();
  #loop: Promise<void> | null = null;

  constructor(
    private readonly aged: readonly Aged[],
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Ends after the page under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.clock.sleep(intervalMs * (0.9 + 0.2 * Math.random()), this.#stop.signal);
      if (!this.#stop.signal.aborted) await this.runOnce();
    }
  }

  /** One kind that cannot be purged must not keep the others. */
  async runOnce(): Promise<Readonly<Record<string, number>>> {
    const purged: Record<string, number> = {};
    for (const { name, keepMs, purge } of this.aged) {
      try {
        purged[name] = await this.#all(this.clock.nowMs() - keepMs, purge);
      } catch (error) {
        this.log.warn('not purged', { name, why: String(error) });
      }
    }
    return purged;
  }

  async #all(beforeMs: number, purge: Aged['purge']): Promise<number> {
    for (let total = 0; ;) {
      const some = await purge(beforeMs, page);
      total += some;
      if (some < page || this.#stop.signal.aborted) return total;
    }
  }
}
