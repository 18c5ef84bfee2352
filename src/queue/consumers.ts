import { Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.js';
import type { TaskKind } from '../engine/entries.js';
import type { Log } from '../engine/ports.js';
import { taskId as asTaskId, type TaskId } from '../ids.js';
import { closeWorker } from './close-worker.js';
import { overflowOf, shareOut, type ShareSettings } from './share-out.js';
import { queueName, type Depth } from './wake-ups.js';

/** How often the shares follow what is due. A kind that overflows has hundreds of wake-ups waiting. */
const shareMs = 500;

export interface Waiting {
  depths(): Promise<ReadonlyMap<TaskKind, Depth> | null>;
}

/** @throws never: a job is not repeated by the queue. */
export type Wake = (taskId: TaskId, kind: TaskKind) => Promise<void>;

interface Consumer {
  readonly worker: Worker;
  busy: number;
}

/**
 * The consumers that carry wake-ups out: a bounded pool for each kind of task, and what is idle of all
 * of them for what no longer fits its kind's queue (share-out.ts).
 */
export class Consumers {
  readonly #consumers: ReadonlyMap<TaskKind, Consumer>;
  readonly #stop = new AbortController();
  readonly #overflowing = new Set<TaskKind>();
  readonly #sharing: Promise<void>;

  constructor(
    redis: Redis,
    kinds: readonly TaskKind[],
    private readonly settings: ShareSettings,
    private readonly waiting: Waiting,
    wake: Wake,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.#consumers = new Map(kinds.map((kind) => [kind, this.#open(redis, kind, wake)]));
    this.#sharing = this.#share();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sharing;
    await Promise.all([...this.#consumers.values()].map(({ worker }) => closeWorker(worker)));
  }

  #open(redis: Redis, kind: TaskKind, wake: Wake): Consumer {
    const { log } = this;
    const worker = new Worker(
      queueName(kind),
      async (job) => {
        const { taskId } = job.data as { taskId: string };
        consumer.busy += 1;
        try {
          await wake(asTaskId(taskId), kind);
        } finally {
          consumer.busy -= 1;
        }
      },
      {
        connection: redis,
        concurrency: this.settings.consumers,
        maxStalledCount: 1_000,
        lockDuration: 60_000,
      },
    );
    const consumer: Consumer = { worker, busy: 0 };
    worker.on('error', (error) => log.debug('wake-up worker', { kind, why: error.message }));
    worker.on('failed', (_job, error) => log.warn('wake-up failed', { kind, why: error.message }));
    return consumer;
  }

  async #share(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.clock.sleep(shareMs, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const depths = await this.waiting.depths();
      const loads = new Map(
        [...this.#consumers].map(([kind, { busy }]) => {
          // Where Redis does not say what is due nobody is helped.
          return [kind, { due: depths?.get(kind)?.due ?? 0, busy }];
        }),
      );
      const shares = shareOut(loads, this.settings);
      for (const [kind, { due }] of loads) this.#tell(kind, due, shares.get(kind));
      const changes = [...shares].map(([kind, share]) => this.#allow(kind, share));
      await Promise.all(changes);
    }
  }

  async #allow(kind: TaskKind, share: number): Promise<void> {
    const worker = this.#consumers.get(kind)?.worker;
    if (worker === undefined || worker.concurrency === share || this.#stop.signal.aborted) return;
    const more = share > worker.concurrency;
    worker.concurrency = share;
    if (!more) return;
    // It looks at its new bound when a job ends, which is late where all of them hang. Resuming makes
    // it look now; the jobs under way go on.
    await worker.pause(true);
    await worker.resume();
  }

  #tell(kind: TaskKind, due: number, consumers: number | undefined): void {
    const overflow = overflowOf(due, this.settings);
    const before = this.#overflowing.has(kind);
    if (overflow > 0 && !before) {
      this.#overflowing.add(kind);
      this.log.warn('more wake-ups are due than a kind may have waiting', {
        kind,
        due,
        overflow,
        consumers,
      });
    }
    if (overflow === 0 && before) {
      this.#overflowing.delete(kind);
      this.log.info('wake-ups of a kind no longer overflow', { kind, due });
    }
  }
}
