import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import type { MessageQueue } from '../ledger/ports.js';
import { closeWorker } from './close-worker.js';
import { soon } from './soon.js';

const queueName = 'recoup-ledger';
/** Jobs waiting, at most: while consumers are away the relay must not fill Redis with repetitions. */
const waitingMax = 200;

/**
 * Batches of outbox ids as BullMQ jobs. A job holds ids and nothing else: what a message says is read
 * from the outbox by whoever posts it, so the queue can neither damage nor reveal it.
 */
export class LedgerQueue implements MessageQueue {
  readonly #queue: Queue;

  constructor(
    redis: Redis,
    private readonly clock: Clock,
  ) {
    this.#queue = new Queue(queueName, {
      connection: redis,
      // The outbox retries, not the queue.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
    });
    this.#queue.on('error', () => undefined);
  }

  async hasRoom(): Promise<boolean> {
    const waiting = await soon(this.clock, async () => await this.#queue.getWaitingCount());
    return waiting !== null && waiting < waitingMax;
  }

  async add(batches: readonly (readonly string[])[]): Promise<boolean> {
    const added = await soon(
      this.clock,
      async () =>
        await this.#queue.addBulk(batches.map((ids) => ({ name: 'post', data: { ids } }))),
    );
    return added !== null;
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => undefined);
  }
}

/** The bounded pool that consumes batches. */
export class LedgerWorker {
  readonly #worker: Worker;

  constructor(
    redis: Redis,
    concurrency: number,
    consumer: { handle(ids: readonly string[]): Promise<void> },
    log: Log,
  ) {
    this.#worker = new Worker(
      queueName,
      async (job) => await consumer.handle((job.data as { ids: string[] }).ids),
      { connection: redis, concurrency, maxStalledCount: 1_000, lockDuration: 60_000 },
    );
    this.#worker.on('error', (error) => log.debug('ledger worker', { why: error.message }));
    // Nothing is lost: nobody has confirmed the messages, so they are sent again.
    this.#worker.on('failed', (_job, error) =>
      log.warn('batch not posted', { why: error.message }),
    );
  }

  async close(): Promise<void> {
    await closeWorker(this.#worker);
  }
}
