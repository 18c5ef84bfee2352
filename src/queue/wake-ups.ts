import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.js';
import type { TaskKind } from '../engine/entries.js';
import type { Log, WakeUps } from '../engine/ports.js';
import type { TaskId } from '../ids.js';
import { soon } from './soon.js';

/** A queue a kind of task: what is due of one does not stand in front of another. */
export const queueName = (kind: TaskKind): string => `recoup-wake-${kind}`;

export interface Depth {
  /** Its time has come, and nobody has taken it. */
  readonly due: number;
  /** Delayed: its time is yet to come. */
  readonly later: number;
}

/**
 * Wake-ups as delayed BullMQ jobs. A job names a task and nothing else. Whatever is lost here, to a
 * flush, a full or an absent Redis, the compensator finds again in the in-flight log.
 */
export class QueuedWakeUps implements WakeUps {
  readonly #queues: ReadonlyMap<TaskKind, Queue>;
  #failing = false;

  constructor(
    redis: Redis,
    kinds: readonly TaskKind[],
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.#queues = new Map(kinds.map((kind) => [kind, openQueue(redis, kind)]));
  }

  async schedule(taskId: TaskId, atMs: number, kind: TaskKind): Promise<void> {
    const delay = Math.max(0, atMs - this.clock.nowMs());
    const queue = this.#queues.get(kind);
    const ok = await soon(this.clock, async () => {
      await queue?.add('wake', { taskId }, { jobId: `${taskId}-${atMs}`, delay });
      return true;
    });
    if (ok === null && !this.#failing) {
      this.log.warn('wake-ups are not queued; the compensator will find the tasks', {});
    }
    this.#failing = ok === null;
  }

  /** What waits, of each kind; null when Redis does not say. */
  async depths(): Promise<ReadonlyMap<TaskKind, Depth> | null> {
    const { clock } = this;
    const depth = async ([kind, queue]: [TaskKind, Queue]): Promise<[TaskKind, Depth]> => {
      // A job whose time has come stays among the delayed until a consumer asks for one: where all of
      // them hang nobody does, and it waits all the same.
      const [waiting, overdue, delayed] = await Promise.all([
        queue.getWaitingCount(),
        queue.getDelayedCount(Math.floor(clock.nowMs()) + 1),
        queue.getDelayedCount(),
      ]);
      return [kind, { due: waiting + overdue, later: Math.max(0, delayed - overdue) }];
    };
    return await soon(clock, async () => new Map(await Promise.all([...this.#queues].map(depth))));
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.#queues.values()].map((queue) => queue.close().catch(() => undefined)),
    );
  }
}

function openQueue(redis: Redis, kind: TaskKind): Queue {
  const queue = new Queue(queueName(kind), {
    connection: redis,
    // Kept jobs would swallow a later wake-up of the same id, and fill Redis.
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
  });
  queue.on('error', () => undefined);
  return queue;
}
