import type { Lease, Locks, WakeUps } from '../engine/ports.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

const retryMs = 100;

/** Who holds which lock until when: what Redis keeps. */
export class LockTable {
  readonly #held = new Map<string, { readonly token: number; readonly expiresMs: number }>();
  #tokens = 0;

  constructor(private readonly leaseMs: number) {}

  flush(): void {
    this.#held.clear();
  }

  /** Null: somebody holds it. */
  acquire(key: string, nowMs: number): number | null {
    const holder = this.#held.get(key);
    if (holder !== undefined && holder.expiresMs > nowMs) return null;
    this.#tokens += 1;
    this.#held.set(key, { token: this.#tokens, expiresMs: nowMs + this.leaseMs });
    return this.#tokens;
  }

  extend(key: string, token: number, nowMs: number): boolean {
    const holder = this.#held.get(key);
    if (holder?.token !== token || holder.expiresMs <= nowMs) return false;
    this.#held.set(key, { token, expiresMs: nowMs + this.leaseMs });
    return true;
  }

  /** Another's lock is left alone. */
  release(key: string, token: number): void {
    if (this.#held.get(key)?.token === token) this.#held.delete(key);
  }
}

/** Which wake-ups are queued or being carried out: what Redis keeps of a queue. */
export class WakeTable {
  #names = new Set<string>();

  flush(): void {
    // Those that are under way keep what they had: what they free is not theirs any more.
    this.#names = new Set();
  }

  /**
   * As the queue names its jobs: one of that name at a time, until it has been carried out. Null: the
   * name is taken, and nothing was queued.
   */
  add(taskId: string, atMs: number): { carriedOut: () => void; flushed: () => boolean } | null {
    const names = this.#names;
    const name = `${taskId}-${atMs}`;
    if (names.has(name)) return null;
    names.add(name);
    return { carriedOut: () => names.delete(name), flushed: () => names !== this.#names };
  }
}

/** Locks that expire, get lost, are flushed, and are granted twice when their store is away. */
export class SimLocks {
  readonly #table: LockTable;

  constructor(
    private readonly world: World,
    private readonly leaseMs: number,
  ) {
    this.#table = new LockTable(leaseMs);
  }

  flush(): void {
    this.#table.flush();
  }

  of(process: SimProcess): Locks {
    return { acquire: async (key, waitMs) => await this.#acquire(process, key, waitMs) };
  }

  async #acquire(process: SimProcess, key: string, waitMs: number): Promise<Lease | null> {
    const { time, faults } = this.world;
    const giveUpMs = time.nowMs + waitMs;
    for (;;) {
      const askedMs = time.nowMs;
      // eslint-free: one try after another is what waiting for a lock is.
      const got = await process.io(1, () => {
        if (faults.strikes('lock_granted_alone', 0)) return 'alone';
        return this.#table.acquire(key, time.nowMs);
      });
      if (got === 'alone') return new SimLease(process, this, key, null, askedMs + this.leaseMs);
      if (got !== null) return new SimLease(process, this, key, got, askedMs + this.leaseMs);
      if (time.nowMs + retryMs > giveUpMs) return null;
      await process.clock.sleep(retryMs);
    }
  }

  async extend(process: SimProcess, key: string, token: number | null): Promise<number> {
    const askedMs = this.world.time.nowMs;
    const kept = await process.io(1, () => {
      if (this.world.faults.strikes('lock_lost', 0)) return false;
      return token === null || this.#table.extend(key, token, this.world.time.nowMs);
    });
    return kept ? askedMs + this.leaseMs : askedMs;
  }

  async release(process: SimProcess, key: string, token: number | null): Promise<void> {
    await process.io(1, () => {
      if (token !== null) this.#table.release(key, token);
    });
  }
}

class SimLease implements Lease {
  constructor(
    private readonly process: SimProcess,
    private readonly locks: SimLocks,
    private readonly key: string,
    private readonly token: number | null,
    private expiresMs: number,
  ) {}

  remainingMs(): number {
    return this.expiresMs - this.process.clock.monotonicMs();
  }

  async extend(): Promise<void> {
    this.expiresMs = await this.locks.extend(this.process, this.key, this.token);
  }

  async release(): Promise<void> {
    await this.locks.release(this.process, this.key, this.token);
  }
}

/** Wake-ups that are dropped, come late and come again. */
export class SimWakeUps {
  readonly #table = new WakeTable();

  constructor(private readonly world: World) {}

  flush(): void {
    this.#table.flush();
  }

  of(process: SimProcess): WakeUps {
    const { world } = this;
    const { faults } = world;
    return {
      schedule: async (taskId, atMs, kind) => {
        const task = world.ordinalOf(taskId);
        await process.io(1, () => undefined);
        if (faults.strikes('wake_dropped', task)) return;
        const late = faults.strikes('wake_late', task);
        const lateMs = late ? faults.extent().spread(1_000, 600_000) : 0;
        const times = faults.strikes('wake_repeated', task) ? 2 : 1;
        const job = this.#table.add(taskId, atMs);
        if (job === null) return;
        for (let n = 0; n < times; n += 1) {
          const delayMs = Math.max(0, atMs - process.clock.nowMs()) + lateMs + n * 7;
          world.time.after(delayMs, () => {
            if (!job.flushed()) world.wake(taskId, kind, job.carriedOut);
          });
        }
      },
    };
  }
}
