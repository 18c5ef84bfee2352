import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import type { TaskStatus } from '../engine/orders-state.js';
import type { TaskId } from '../ids.js';

/** How late a result may be seen that another process found. */
const pollMs = 100;
const idsPerQuery = 500;
/** Each is a request that is held; a run's place at the gate is free again as soon as it waits for a channel. */
const waitingMaxUsual = 4_096;

/** The row of a task, whatever its kind. */
export interface Watched {
  readonly id: TaskId;
  readonly status: TaskStatus;
}

/**
 * Tells those who wait for a task of one kind when it is no longer `processing`, whichever process ended
 * it. One query a round for all of them, and none while nobody waits.
 */
export class OutcomeWatch<R extends Watched> {
  readonly #waiters = new Map<TaskId, Set<(record: R) => void>>();
  #polling = false;
  #failing = false;

  constructor(
    private readonly reads: { findMany(ids: readonly TaskId[]): Promise<readonly R[]> },
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly waitingMax = waitingMaxUsual,
  ) {}

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Null when the signal aborted first, or too many wait already. Never rejects. */
  async until(id: TaskId, signal: AbortSignal): Promise<R | null> {
    if (signal.aborted || this.#waiters.size >= this.waitingMax) return null;
    return await new Promise((resolve) => {
      const waiter = (record: R): void => {
        signal.removeEventListener('abort', leave);
        resolve(record);
      };
      const leave = (): void => {
        this.#forget(id, waiter);
        resolve(null);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiters.set(id, (this.#waiters.get(id) ?? new Set()).add(waiter));
      if (!this.#polling) void this.#poll();
    });
  }

  #forget(id: TaskId, waiter: (record: R) => void): void {
    const others = this.#waiters.get(id);
    others?.delete(waiter);
    if (others?.size === 0) this.#waiters.delete(id);
  }

  async #poll(): Promise<void> {
    this.#polling = true;
    while (this.#waiters.size > 0) {
      await this.#look();
      if (this.#waiters.size > 0) await this.clock.sleep(pollMs);
    }
    this.#polling = false;
  }

  async #look(): Promise<void> {
    const ids = [...this.#waiters.keys()];
    try {
      for (let from = 0; from < ids.length; from += idsPerQuery) {
        const records = await this.reads.findMany(ids.slice(from, from + idsPerQuery));
        for (const record of records) if (record.status !== 'processing') this.#tell(record);
      }
      this.#failing = false;
    } catch {
      // Whoever waits gets the answer of a later round, or at the end of the wait.
      if (!this.#failing) this.log.warn('the results that callers wait for cannot be read');
      this.#failing = true;
    }
  }

  #tell(record: R): void {
    const waiters = this.#waiters.get(record.id);
    this.#waiters.delete(record.id);
    for (const waiter of waiters ?? []) waiter(record);
  }
}
