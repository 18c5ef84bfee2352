import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.js';
import type { Log, WakeUps } from '../engine/ports.js';
import { taskId as asTaskId, type TaskId } from '../ids.js';
import { closeWorker } from './close-worker.js';

const queueName = 'recoup-wake';
const scheduleMs = 2_000;

/**
 * Wake-ups as delayed BullMQ jobs. A job names a task and nothing else. Whatever is lost here, to a
 * flush, a full or an absent Redis, the compensator finds again in the in-flight log.
 */
export class QueuedWakeUps implements WakeUps {
  readonly #queue: Queue;
  #failing = false;

  constructor(
    redis: Redis,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.#queue = new Queue(queueName, {
      connection: redis,
      // Kept jobs would swallow a later wake-up of the same id, and fill Redis.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
    });
    this.#queue.on('error', () => undefined);
  }

  async schedule(taskId: TaskId, atMs: number): Promise<void> {
    const delay = Math.max(0, atMs - this.clock.nowMs());
    const added = this.#queue
      .add('wake', { taskId }, { jobId: `${taskId}-${atMs}`, delay })
      .then(() => true)
      .catch(() => false);
    const timer = new AbortController();
    const late = this.clock.sleep(scheduleMs, timer.signal).then(() => false);
    const ok = await Promise.race([added, late]);
    timer.abort();
    if (!ok && !this.#failing) {
      this.log.warn('wake-ups are not queued; the compensator will find the tasks', {});
    }
    this.#failing = !ok;
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => undefined);
  }
}

/** The bounded pool that carries wake-ups out. */
export class WakeUpWorker {
  readonly #worker: Worker;

  /** @param wake must not throw: a job is never repeated by the queue. */
  constructor(
    redis: Redis,
    concurrency: number,
    wake: (taskId: TaskId) => Promise<void>,
    log: Log,
  ) {
    this.#worker = new Worker(
      queueName,
      async (job) => {
        const { taskId } = job.data as { taskId: string };
        await wake(asTaskId(taskId));
      },
      { connection: redis, concurrency, maxStalledCount: 1_000, lockDuration: 60_000 },
    );
    this.#worker.on('error', (error) => log.debug('wake-up worker', { why: error.message }));
    this.#worker.on('failed', (_job, error) => log.warn('wake-up failed', { why: error.message }));
  }

  async close(): Promise<void> {
    await closeWorker(this.#worker);
  }
}
