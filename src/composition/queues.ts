/** The work queues, wired: what carries wake-ups out, and what is seen of what waits. */
import type { Clock } from '../clock.js';
import { poller } from '../compensation/poller.js';
import type { Config } from '../config.js';
import type { TaskKind } from '../engine/entries.js';
import type { RunOutcome } from '../engine/executor.js';
import { taskKinds } from '../engine/tasks.js';
import type { TaskId } from '../ids.js';
import type { Log } from '../log.js';
import { Consumers } from '../queue/consumers.js';
import { blockingOptions, connectRedis } from '../queue/redis.js';
import { overflowOf, type ShareSettings } from '../queue/share-out.js';
import type { QueuedWakeUps } from '../queue/wake-ups.js';

export interface WorkQueueRecord {
  readonly kind: TaskKind;
  /** Wake-ups whose time has come and that nobody has taken. */
  readonly due: number;
  /** What of them is beyond the bound of the kind: in the global queue. */
  readonly overflow: number;
  /** Wake-ups whose time is yet to come. */
  readonly later: number;
}

export interface WorkQueues {
  /** Starts this process's consumers, with a connection of their own. */
  readonly start: () => void;
  /** Null when Redis does not say. */
  readonly look: () => Promise<readonly WorkQueueRecord[] | null>;
  readonly close: () => Promise<void>;
  readonly disconnect: () => void;
}

export function openWorkQueues(
  { config, log, clock }: { readonly config: Config; readonly log: Log; readonly clock: Clock },
  wakeUps: QueuedWakeUps,
  resume: (task: TaskId) => Promise<RunOutcome>,
): WorkQueues {
  const settings: ShareSettings = {
    consumers: config.pollConcurrency,
    waitingMax: config.queueWaiting,
    helpersMax: config.queueHelpers,
  };
  let consumers: Consumers | null = null;
  let redis: ReturnType<typeof connectRedis> | null = null;
  return {
    start: () => {
      if (consumers !== null) return;
      redis = connectRedis(config.redisUrl, blockingOptions, log, 'work queues');
      const wake = poller(resume, wakeUps, clock, log);
      consumers = new Consumers(redis, taskKinds, settings, wakeUps, wake, clock, log);
    },
    look: async () => {
      const depths = await wakeUps.depths();
      if (depths === null) return null;
      return [...depths].map(([kind, { due, later }]) => {
        return { kind, due, overflow: overflowOf(due, settings), later };
      });
    },
    close: async () => await consumers?.close(),
    disconnect: () => redis?.disconnect(),
  };
}
