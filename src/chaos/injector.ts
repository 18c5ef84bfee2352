/** Carries out the plan: each fault at its time, several at once when they fall together. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import type { Crew, Place } from './crew.js';
import type { FaultKind, PlannedFault } from './plan.js';
import type { Stores } from './stores.js';

/** A fault that was really injected. */
export interface Struck {
  readonly kind: FaultKind;
  /** Monotonic and wall-clock ms of the moment it struck. */
  readonly atMs: number;
  readonly wallMs: number;
  /** The worker that it struck; null for a store. */
  readonly place: Place | null;
  readonly instanceId: string;
}

const seekMs = 50;
const growthLookMs = 100;
/** Tables grow by a megabyte at a time. */
const growthWaitMs = 60_000;

export class Injector {
  readonly struck: Struck[] = [];
  /** Faults that found nobody to strike, or failed. */
  readonly missed: string[] = [];

  constructor(
    private readonly crew: Crew,
    private readonly stores: Stores,
    private readonly say: (what: string) => void,
  ) {}

  /** Resolves when every fault has been injected and is over. */
  async carryOut(plan: readonly PlannedFault[], stop: AbortSignal): Promise<void> {
    const startMs = performance.now();
    await Promise.all(
      plan.map(async (fault) => {
        await delay(Math.max(0, startMs + fault.atMs - performance.now()), undefined, {
          signal: stop,
        }).catch(() => undefined);
        if (stop.aborted) return;
        await this.#inject(fault, stop).catch((error: unknown) => {
          this.say(`${fault.kind}: ${String(error)}`);
          this.missed.push(`${fault.kind}: ${String(error)}`);
        });
      }),
    );
  }

  async #inject(fault: PlannedFault, stop: AbortSignal): Promise<void> {
    switch (fault.kind) {
      case 'database_kill':
        return await this.stores.database.killAndRestart(fault.forMs, () =>
          this.#note(fault, null),
        );
      case 'redis_kill':
        return await this.stores.redis.killAndRestart(fault.forMs, () => this.#note(fault, null));
      case 'redis_flush':
        return await this.stores.redis.inTurn(() => this.#flush(fault));
      case 'read_only':
        return await this.stores.database.inTurn(() => this.#refuseWrites(fault));
      case 'redis_full':
        return await this.stores.redis.inTurn(() => this.#fillRedis(fault));
      case 'disk_full':
        return await this.#fillDisk(fault, stop);
      case 'worker_kill':
      case 'worker_stop':
      case 'cut_commit':
      case 'lost_commit':
      case 'cut_connections':
      case 'slow_connections':
      case 'half_close': {
        const place = await this.#victim(fault, stop);
        if (place !== null) return await this.#strikeWorker(fault, place);
        this.missed.push(`${fault.kind}: no worker was running`);
      }
    }
  }

  async #strikeWorker(fault: PlannedFault, place: Place): Promise<void> {
    const { proxy } = place;
    switch (fault.kind) {
      case 'worker_kill':
        return await this.#kill(fault, place);
      case 'worker_stop':
        return await this.#stop(fault, place);
      case 'cut_connections':
        this.#note(fault, place);
        return proxy.cutAll();
      case 'half_close':
        this.#note(fault, place);
        return proxy.halfCloseAll(fault.draw * 10 - Math.floor(fault.draw * 10) < 0.5);
      case 'slow_connections':
        this.#note(fault, place);
        proxy.delayMs = 100 + 300 * fault.draw;
        await delay(fault.forMs);
        proxy.delayMs = 0;
        return;
      default: {
        const how = fault.kind === 'cut_commit' ? 'reply' : 'request';
        const atMs = await proxy.cutCommit(how, fault.forMs);
        if (atMs === null) this.missed.push(`${fault.kind}: no commit came`);
        else this.#note(fault, place, atMs);
      }
    }
  }

  async #kill(fault: PlannedFault, place: Place): Promise<void> {
    place.killed = true;
    place.state = 'starting';
    this.#note(fault, place);
    place.worker?.signal('SIGKILL');
    while (place.worker?.ended === false) await delay(5);
    await delay(fault.forMs);
    await this.crew.fill(place);
  }

  async #stop(fault: PlannedFault, place: Place): Promise<void> {
    place.state = 'stopped';
    this.#note(fault, place);
    place.worker?.signal('SIGSTOP');
    await delay(fault.forMs);
    place.worker?.signal('SIGCONT');
    place.state = 'running';
  }

  async #flush(fault: PlannedFault): Promise<void> {
    const redis = new Redis(this.stores.redis.url, { maxRetriesPerRequest: 3 });
    redis.on('error', () => undefined);
    try {
      await redis.flushall();
      this.#note(fault, null);
    } finally {
      redis.disconnect();
    }
  }

  /** Every write that needs memory is refused, as where `maxmemory` is reached. */
  async #fillRedis(fault: PlannedFault): Promise<void> {
    const redis = new Redis(this.stores.redis.url, { maxRetriesPerRequest: 3 });
    redis.on('error', () => undefined);
    try {
      await redis.config('SET', 'maxmemory', '1');
      this.#note(fault, null);
      await delay(fault.forMs);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
      redis.disconnect();
    }
  }

  /** No table may grow beyond the largest: strikes when one wants to. Set again after a restart. */
  async #fillDisk(fault: PlannedFault, stop: AbortSignal): Promise<void> {
    const { disk } = this.stores;
    const limit = disk.largestFile();
    let before = disk.refusals();
    try {
      const giveUpMs = performance.now() + growthWaitMs;
      while (performance.now() < giveUpMs && !stop.aborted) {
        await disk.limitFiles(limit);
        await delay(growthLookMs);
        const refusals = disk.refusals();
        if (refusals > before) {
          this.#note(fault, null);
          return await delay(fault.forMs);
        }
        // The log starts anew with the server.
        before = Math.min(before, refusals);
      }
      this.missed.push(`${fault.kind}: no table grew`);
    } finally {
      await disk.limitFiles(null);
    }
  }

  async #refuseWrites(fault: PlannedFault): Promise<void> {
    const options = { uri: this.stores.migrationUrl, connectTimeout: 5_000 };
    const connection = await createConnection(options);
    try {
      await connection.query('SET GLOBAL read_only = 1');
      this.#note(fault, null);
      await delay(fault.forMs);
    } finally {
      await connection.query('SET GLOBAL read_only = 0');
      await connection.end();
    }
  }

  /** A running worker, drawn; waits a while when none is. */
  async #victim({ draw }: PlannedFault, stop: AbortSignal): Promise<Place | null> {
    for (let waitedMs = 0; waitedMs < 15_000 && !stop.aborted; waitedMs += seekMs) {
      const { running } = this.crew;
      const place = running[Math.floor(draw * running.length)];
      if (place !== undefined) return place;
      await delay(seekMs);
    }
    return null;
  }

  #note({ kind }: PlannedFault, place: Place | null, atMs = performance.now()): void {
    const instanceId = place?.instanceId ?? '';
    const wallMs = Date.now() - (performance.now() - atMs);
    this.struck.push({ kind, atMs, wallMs, place, instanceId });
    this.say(`${kind}${instanceId === '' ? '' : ` ${instanceId}`}`);
  }
}
