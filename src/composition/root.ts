/**
 * The only file that knows the container: it says what each part is made from, and in which order
 * all of it starts and ends. How a part is put together is in the file that opens it.
 */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Container, type ServiceIdentifier } from 'inversify';
import { systemClock } from '../clock.js';
import { Compensator } from '../compensation/compensator.js';
import { Purger } from '../compensation/purge.js';
import type { Channels } from '../engine/ports.js';
import { Executor, type RunOutcome } from '../engine/executor.js';
import { taskKinds, type Task } from '../engine/tasks.js';
import type { TaskId } from '../ids.js';
import { Meters } from '../metrics/meters.js';
import { RedisLocks } from '../queue/locks.js';
import { connectRedis, failFastOptions } from '../queue/redis.js';
import { QueuedWakeUps } from '../queue/wake-ups.js';
import { Reconciler } from '../reconciliation/reconciler.js';
import { openDatabase, type Database } from '../store/database.js';
import { pendingMigrations } from '../store/migrate.js';
import { defaultGroupCommit } from '../store/sql-journal.js';
import { openCaseServices, type CaseServices } from './cases.js';
import { openCompensator, openExecutor, openLocks } from './engine.js';
import { openExchanges, openPurger, type Exchanges } from './exchanges.js';
import { openFlows, type FlowServices } from './flows.js';
import { openIntake, type Intake } from './intake.js';
import { openLedger, type LedgerServices } from './ledger.js';
import { openMetrics, type MetricsServices } from './metrics.js';
import { openNotices, type NoticeServices } from './notices.js';
import { openWorkQueues, type WorkQueues } from './queues.js';
import { openReconciler } from './reconciliation.js';
import { openRouting, type Routing } from './routing.js';
import type { Services } from './services.js';
import { openStores, type Stores } from './stores.js';
import type { Basics, Surroundings } from './surroundings.js';

export type { Services } from './services.js';
export type { Surroundings, Wrappers } from './surroundings.js';

type Redis = ReturnType<typeof connectRedis>;
type Resume = Services['resume'];

const id = <T>(name: string): ServiceIdentifier<T> => Symbol.for(`recoup.${name}`);

const ids = {
  database: id<Database>('database'),
  journalDatabase: id<Database>('journal-database'),
  callRedis: id<Redis>('call-redis'),
  channels: id<Channels>('channels'),
  resume: id<Resume>('resume'),
  meters: id<Meters | null>('meters'),
  stores: id<Stores>('stores'),
  exchanges: id<Exchanges>('exchanges'),
  routing: id<Routing>('routing'),
  intake: id<Intake>('intake'),
  flows: id<FlowServices>('flows'),
  ledger: id<LedgerServices>('ledger'),
  notices: id<NoticeServices>('notices'),
  cases: id<CaseServices>('cases'),
  queues: id<WorkQueues>('queues'),
  metrics: id<MetricsServices | null>('metrics'),
};

const named = (name: string): string =>
  `${name.replaceAll(/[^\w-]/g, '_').slice(0, 30)}-${randomUUID().slice(0, 8)}`;

/** Opens connections lazily: only the first use of a store fails where it is down. */
export function compose({ config, env, log, name, wrappers = {} }: Surroundings): Services {
  const instanceId = name === undefined ? randomUUID() : named(name);
  const clock = wrappers.clock ?? systemClock;
  const container = containerFor({ config, env, log, clock, instanceId, wrappers });
  const get = <T>(what: ServiceIdentifier<T>): T => container.get(what);
  const { directory, router } = get(ids.routing);
  const database = get(ids.database);
  return {
    instanceId,
    config,
    clock,
    log,
    database,
    redis: get(ids.callRedis),
    executor: get<Executor<Task>>(Executor),
    router,
    directory,
    ...get(ids.stores),
    ...get(ids.exchanges),
    ...get(ids.intake),
    flows: get(ids.flows),
    compensator: get(Compensator),
    ledger: get(ids.ledger),
    cases: get(ids.cases),
    notices: get(ids.notices),
    metrics: get(ids.metrics),
    httpObserver: get(ids.meters)?.http,
    workQueues: get(ids.queues),
    reconciler: get(Reconciler),
    pendingMigrations: async () => await pendingMigrations(database),
    resume: get(ids.resume),
    ...lifeOf(container),
  };
}

/** Works by itself from `start` to `close`. */
interface Working {
  start(): void;
  close(): Promise<void>;
}

function lifeOf(container: Container): Pick<Services, 'startPoller' | 'startWork' | 'close'> {
  const get = <T>(what: ServiceIdentifier<T>): T => container.get(what);
  const [pool, purger, metrics] = [get(ids.queues), get(Purger), get(ids.metrics)];
  const working: readonly Working[] = [
    pool,
    purger,
    get(Compensator),
    get(ids.flows).settlement,
    get(ids.cases),
    get(ids.intake).batchRunner,
    get(ids.ledger),
    get(ids.notices),
  ];
  return {
    startPoller() {
      purger.start();
      pool.start();
    },
    startWork() {
      for (const one of working) one.start();
    },
    async close() {
      // First what starts work, then what work needs.
      await Promise.all(working.map(async (one) => await one.close()));
      // Until here a scrape shows how the work under way ends.
      await metrics?.close();
      await get(QueuedWakeUps).close();
      pool.disconnect();
      get(ids.callRedis).disconnect();
      await get(RedisLocks).close();
      const { callbacks, calls } = get(ids.exchanges);
      await Promise.all([callbacks.flush(), calls.flush()]);
      await get(ids.routing).close();
      const databases = [get(ids.database), get(ids.journalDatabase)];
      await Promise.all(databases.map(async (one) => await one.destroy()));
    },
  };
}

function containerFor(basics: Basics): Container {
  const container = new Container({ defaultScope: 'Singleton' });
  bindConnections(container, basics);
  bindRunning(container, basics);
  bindBusiness(container, basics);
  bindWatching(container, basics);
  return container;
}

function bindConnections(container: Container, { config, log }: Basics): void {
  const bind = container.bind.bind(container);
  bind(ids.database).toResolvedValue(() =>
    openDatabase(config.databaseUrl, config.databasePool, log),
  );
  bind(ids.journalDatabase).toResolvedValue(() =>
    openDatabase(config.databaseUrl, defaultGroupCommit.committers, log, { bundles: true }),
  );
  bind(ids.callRedis).toResolvedValue(() =>
    connectRedis(config.redisUrl, failFastOptions, log, 'queue'),
  );
  bind(ids.stores).toResolvedValue(openStores, [ids.database]);
}

/** What runs tasks, and wakes them up. */
function bindRunning(container: Container, basics: Basics): void {
  const bind = container.bind.bind(container);
  bind(RedisLocks).toResolvedValue(() => openLocks(basics));
  bind(QueuedWakeUps).toResolvedValue(
    (redis: Redis) => new QueuedWakeUps(redis, taskKinds, basics.clock, basics.log),
    [ids.callRedis],
  );
  bind(ids.routing).toResolvedValue(
    ({ channelStore: channels }: Stores, { calls }: Exchanges, meters: Meters | null) =>
      openRouting(basics, { channels, calls, meters }),
    [ids.stores, ids.exchanges, ids.meters],
  );
  bind(ids.channels).toResolvedValue(
    ({ directory }: Routing) => basics.wrappers.channels?.(directory) ?? directory,
    [ids.routing],
  );
  bind(Executor).toResolvedValue(
    (
      database: Database,
      writes: Database,
      locks: RedisLocks,
      wakeUps: QueuedWakeUps,
      channels: Channels,
      { router }: Routing,
      notices: NoticeServices,
      meters: Meters | null,
    ) => {
      const stores = { database, writes, locks, wakeUps, notices, meters };
      return openExecutor(basics, { ...stores, channels, router });
    },
    [
      ids.database,
      ids.journalDatabase,
      RedisLocks,
      QueuedWakeUps,
      ids.channels,
      ids.routing,
      ids.notices,
      ids.meters,
    ],
  );
  bind(ids.resume).toResolvedValue(
    (executor: Executor<Task>) =>
      async (task: TaskId): Promise<RunOutcome> =>
        (await executor.run(task)).outcome,
    [Executor],
  );
  bind(ids.queues).toResolvedValue(
    (wakeUps: QueuedWakeUps, resume: Resume) => openWorkQueues(basics, wakeUps, resume),
    [QueuedWakeUps, ids.resume],
  );
  bind(Compensator).toResolvedValue(
    (database: Database, executor: Executor<Task>, meters: Meters | null) =>
      openCompensator(basics, database, executor, meters),
    [ids.database, Executor, ids.meters],
  );
}

/** What lenders, customers and channels bring, and where it goes. */
function bindBusiness(container: Container, basics: Basics): void {
  const bind = container.bind.bind(container);
  bind(ids.intake).toResolvedValue(
    (stores: Stores, routing: Routing, executor: Executor<Task>) =>
      openIntake(basics, stores, routing, executor),
    [ids.stores, ids.routing, Executor],
  );
  bind(ids.flows).toResolvedValue(
    (database: Database, { directory, router }: Routing, executor: Executor<Task>) =>
      openFlows({ ...basics, database, directory, router, executor }),
    [ids.database, ids.routing, Executor],
  );
  bind(ids.ledger).toResolvedValue(
    (database: Database, redis: Redis) => openLedger({ ...basics, database, redis }),
    [ids.database, ids.callRedis],
  );
  bind(ids.notices).toResolvedValue(
    (database: Database) => openNotices({ ...basics, database, wrappers: basics.wrappers.notices }),
    [ids.database],
  );
  bind(Reconciler).toResolvedValue(
    (database: Database, { breaks }: Stores, { directory }: Routing, executor: Executor<Task>) =>
      openReconciler(basics, { database, breaks, directory, executor }),
    [ids.database, ids.stores, ids.routing, Executor],
  );
  bind(ids.cases).toResolvedValue(
    (
      database: Database,
      stores: Stores,
      { refundDesk }: Intake,
      { directory }: Routing,
      ledger: LedgerServices,
      notices: NoticeServices,
      executor: Executor<Task>,
    ) => {
      const told = { ledger: ledger.reads, notices: notices.items };
      const desks = { refundDesk, directory, executor };
      return openCaseServices({ ...basics, ...stores, ...told, ...desks, database });
    },
    [ids.database, ids.stores, ids.intake, ids.routing, ids.ledger, ids.notices, Executor],
  );
}

/** What is counted, what is kept of the talk with channels, and how long. */
function bindWatching(container: Container, basics: Basics): void {
  const bind = container.bind.bind(container);
  const { metricsPort } = basics.config;
  bind(ids.meters).toConstantValue(metricsPort === null ? null : new Meters());
  bind(ids.exchanges).toResolvedValue(
    (database: Database, meters: Meters | null) => openExchanges(basics, database, meters),
    [ids.database, ids.meters],
  );
  bind(Purger).toResolvedValue(
    (exchanges: Exchanges, notices: NoticeServices) => openPurger(basics, exchanges, notices),
    [ids.exchanges, ids.notices],
  );
  bind(ids.metrics).toResolvedValue(
    ({ directory, health }: Routing, queues: WorkQueues, meters: Meters | null) =>
      meters === null ? null : openMetrics({ ...basics, directory, health, queues }, meters),
    [ids.routing, ids.queues, ids.meters],
  );
}
