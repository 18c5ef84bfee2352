/** What runs tasks: the journal, the locks, the executor, and the sweep that resumes what was left. */
import { Compensator } from '../compensation/compensator.js';
import { Executor } from '../engine/executor.js';
import type { Channels, Router } from '../engine/ports.js';
import { taskFlow, taskKinds, type Task } from '../engine/tasks.js';
import type { Meters } from '../metrics/meters.js';
import { RedisLocks } from '../queue/locks.js';
import { connectRedis, lockOptions } from '../queue/redis.js';
import type { QueuedWakeUps } from '../queue/wake-ups.js';
import type { Database } from '../store/database.js';
import { SqlInFlightLog } from '../store/in-flight.js';
import { SqlJournal } from '../store/sql-journal.js';
import type { NoticeServices } from './notices.js';
import { leaseMarginMs, type Basics } from './surroundings.js';

const lockWaitMs = 1_000;

export interface EngineParts {
  readonly database: Database;
  /** The journal's own connections: a group of commits never waits for a reader. */
  readonly writes: Database;
  readonly locks: RedisLocks;
  readonly wakeUps: QueuedWakeUps;
  readonly channels: Channels;
  readonly router: Router;
  readonly notices: NoticeServices;
  readonly meters: Meters | null;
}

export function openLocks({ config, clock, log }: Basics): RedisLocks {
  const redis = connectRedis(config.redisUrl, lockOptions, log, 'locks');
  return new RedisLocks(redis, config.lockLeaseMs, clock, log);
}

export function openExecutor(basics: Basics, parts: EngineParts): Executor<Task> {
  const { clock, log, instanceId } = basics;
  const { locks, wakeUps, channels, router, meters } = parts;
  return new Executor<Task>(
    {
      flow: taskFlow,
      journal: journalOf(basics, parts),
      locks: meters?.timed(locks) ?? locks,
      channels,
      router,
      wakeUps,
      clock,
      log,
      ...(meters && { observer: meters.run }),
    },
    { executorId: instanceId, leaseMarginMs, lockWaitMs },
  );
}

function journalOf({ config, clock, log, wrappers }: Basics, parts: EngineParts) {
  const { database, writes, notices, meters } = parts;
  const journal = new SqlJournal(database, config.businessZone, clock, log, {
    writes,
    notices: () => notices.directory.interest(),
    ...(meters && { observer: meters.commits }),
  });
  return wrappers.journal?.(journal) ?? journal;
}

export function openCompensator(
  { config, clock, log, instanceId }: Basics,
  database: Database,
  executor: Executor<Task>,
  meters: Meters | null,
): Compensator {
  return new Compensator(
    new SqlInFlightLog(database),
    async (task) => (await executor.run(task)).outcome,
    {
      instanceId,
      kinds: taskKinds,
      intervalMs: config.compensatorIntervalMs,
      ageMs: config.compensatorAgeMs,
      concurrency: config.compensatorConcurrency,
    },
    clock,
    log,
    meters?.sweep,
  );
}
