/**
 * BullMQ alone: a job a deduction, and a worker whose processor waits as long as the in-process
 * channel. Nothing is written to a database: an acknowledged job is as durable as Redis is.
 */
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { loadConfig } from '../../src/config.js';
import { channelMs } from '../channels.js';
import { lanes, serve, type Subject } from '../subject.js';

async function open(): Promise<Subject> {
  const { redisUrl } = loadConfig(process.env);
  const connections = [0, 1].map(() => new Redis(redisUrl, { maxRetriesPerRequest: null }));
  const [forQueue, forWorker] = connections as [Redis, Redis];
  const queue = new Queue('bench', {
    connection: forQueue,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
  });
  const waiting = new Map<string, () => void>();
  const worker = new Worker(
    'bench',
    async () => await new Promise((resolve) => setTimeout(resolve, channelMs)),
    { connection: forWorker, concurrency: 512 },
  );
  worker.on('completed', ({ id = '' }) => {
    waiting.get(id)?.();
    waiting.delete(id);
  });
  await worker.waitUntilReady();
  let jobs = 0;
  return {
    async prepare(load) {
      return {
        run: async () =>
          await lanes(load, async () => {
            jobs += 1;
            const jobId = `d-${jobs}`;
            const beganMs = performance.now();
            const done = new Promise<void>((resolve) => waiting.set(jobId, resolve));
            await queue.add('deduct', { repayment: jobId, amount_minor: 10_000 }, { jobId });
            await done;
            return performance.now() - beganMs - channelMs;
          }),
      };
    },
    async close() {
      await worker.close();
      await queue.close();
      for (const connection of connections) connection.disconnect();
    },
  };
}

await serve(open);
