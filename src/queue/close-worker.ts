import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'bullmq';

/** Longer than a question to a channel takes. */
const closeMs = 20_000;

/** Waits for the jobs under way, but not for a Redis that is not there. */
export async function closeWorker(worker: Worker): Promise<void> {
  const timer = new AbortController();
  const late = delay(closeMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([worker.close(), late]);
  timer.abort();
  void worker.close(true).catch(() => undefined);
}
