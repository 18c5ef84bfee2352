/** The only file that sees every room, and the only one that knows the container. */
/* oxlint-disable max-lines -- it wires every room, each in a function of its own */
import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Container, type ServiceIdentifier } from 'inversify';
import { ChannelDirectory } from '../channels/directory.js';
import type { ChannelObserver } from '../channels/observed.js';
import { systemClock, type Clock } from '../clock.js';
import { Compensator } from '../compensation/compensator.js';
import { openWorkQueues, type WorkQueues } from './queues.js';
import { openLedger, type LedgerServices, type LedgerWrappers } from './ledger.js';
import { openCaseServices, type CaseServices } from './cases.js';
import { openFlows, type FlowServices } from './flows.js';
import { openMetrics, type MetricsServices } from './metrics.js';
import { openNotices, type NoticeServices, type NoticeWrappers } from './notices.js';
import { Purger } from '../compensation/purge.js';
import type { Config } from '../config.js';
import { taskFlow, taskKinds, type Task } from '../engine/tasks.js';
import { Executor, type RunOutcome } from '../engine/executor.js';
import type { Journal } from '../engine/journal.js';
import type { Channels, Locks, Log, WakeUps } from '../engine/ports.js';
import type { HttpObserver } from '../http/ports.js';
import type { TaskId } from '../ids.js';
import { BatchDesk } from '../intake/batch-desk.js';
import { BatchRunner } from '../intake/batch-runner.js';
import { DeductionDesk } from '../intake/deduction-desk.js';
import { RefundDesk } from '../intake/refund-desk.js';
import { Meters } from '../metrics/meters.js';
import { RedisLocks } from '../queue/locks.js';
import { connectRedis, failFastOptions, lockOptions } from '../queue/redis.js';
import { QueuedWakeUps } from '../queue/wake-ups.js';
import { Reconciler } from '../reconciliation/reconciler.js';
import type { StatementEvidence } from '../reconciliation/ports.js';
import { LiveRouter, liveRouterDefaults } from '../routing/live-router.js';
import { refundReadsFrom } from './refunds.js';
import { RoutingHealth, termsFrom } from './routing.js';
import { AccessStore } from '../store/access.js';
import { BatchStore } from '../store/batches.js';
import { CallStore } from '../store/calls.js';
import { CallbackStore } from '../store/callbacks.js';
import { ChannelStore } from '../store/channels.js';
import { openDatabase, type Database } from '../store/database.js';
import { DeductionStore } from '../store/deductions.js';
import { SqlInFlightLog } from '../store/in-flight.js';
import { pendingMigrations } from '../store/migrate.js';
import { BreakStore } from '../store/reconciliation-breaks.js';
import { MatchingStore } from '../store/reconciliation-matching.js';
import { StatementStore } from '../store/reconciliation-statements.js';
import { RefundStore } from '../store/refunds.js';
import { RepaymentStore } from '../store/repayments.js';
import { defaultGroupCommit, SqlJournal } from '../store/sql-journal.js';

type Redis = ReturnType<typeof connectRedis>;

/** For tests and chaos: puts something around a part, such as a kill before a commit. */
export interface Wrappers {
  readonly journal?: (inner: Journal<Task>) => Journal<Task>;
  readonly channels?: (inner: Channels) => Channels;
  readonly clock?: Clock;
  readonly ledger?: LedgerWrappers;
  readonly notices?: NoticeWrappers;
}

export interface Surroundings {
  readonly config: Config;
  /** Holds what the channels' profiles name: addresses and secrets. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /**
   * Names this process in the log, before a random part: the name of a writer must never come back,
   * since it tells our own commit from another's.
   */
  readonly name?: string;
  readonly wrappers?: Wrappers;
}

/** The channels' configuration is read again this often: a pause takes effect within it. */
const refreshMs = 5_000;
/** Lease left beyond a call's time-out: a stalled event loop and the clock's grain. */
const leaseMarginMs = 2_000;
const lockWaitMs = 1_000;

const id = <T>(name: string): ServiceIdentifier<T> => Symbol.for(`recoup.${name}`);

const ids = {
  database: id<Database>('database'),
  journalDatabase: id<Database>('journal-database'),
  callRedis: id<Redis>('call-redis'),
  journal: id<Journal<Task>>('journal'),
  locks: id<Locks>('locks'),
  wakeUps: id<WakeUps>('wake-ups'),
  channels: id<Channels>('channels'),
  notices: id<NoticeServices>('notices'),
  meters: id<Meters | null>('meters'),
};

/** Everything a process of Recoup is made of, opened and wired. `close` ends all of it. */
export interface Services {
  readonly instanceId: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly database: Database;
  readonly redis: Redis;
  readonly executor: Executor<Task>;
  readonly router: LiveRouter;
  readonly directory: ChannelDirectory;
  readonly desk: DeductionDesk;
  readonly refundDesk: RefundDesk;
  readonly batchDesk: BatchDesk;
  readonly batchRunner: BatchRunner;
  readonly compensator: Compensator;
  readonly workQueues: WorkQueues;
  readonly ledger: LedgerServices;
  readonly cases: CaseServices;
  readonly notices: NoticeServices;
  /** Null unless a port is configured for them: then nothing is counted. */
  readonly metrics: MetricsServices | null;
  readonly httpObserver: HttpObserver | undefined;
  /** Withdrawals and top-ups. */
  readonly flows: FlowServices;
  readonly deductions: DeductionStore;
  readonly callbacks: CallbackStore;
  readonly refunds: RefundStore;
  /** The call journal. */
  readonly calls: CallStore;
  readonly repayments: RepaymentStore;
  readonly batches: BatchStore;
  readonly channelStore: ChannelStore;
  readonly access: AccessStore;
  readonly reconciler: Reconciler;
  readonly breaks: BreakStore;
  /** The migrations that the database still lacks. */
  readonly pendingMigrations: () => Promise<readonly string[]>;
  /** Runs a task as far as it goes now: what every wake-up does. */
  readonly resume: (task: TaskId) => Promise<RunOutcome>;
  /** Starts the pool that carries wake-ups out. */
  readonly startPoller: () => void;
  /** Starts all that a worker does, in this process. */
  readonly startWork: () => void;
  readonly close: () => Promise<void>;
}

const named = (name: string): string =>
  `${name.replaceAll(/[^\w-]/g, '_').slice(0, 30)}-${randomUUID().slice(0, 8)}`;

function refreshing(directory: ChannelDirectory, log: Log): NodeJS.Timeout {
  return setInterval(() => {
    directory.refresh().catch((error: unknown) => {
      log.warn('channels not read again', { why: String(error) });
    });
  }, refreshMs).unref();
}

/** Opens connections lazily: only the first use of a store fails where it is down. */
export function compose(around: Surroundings): Services {
  const { config, log } = around;
  const instanceId = around.name === undefined ? randomUUID() : named(around.name);
  const container = containerFor(around, instanceId);
  const get = <T>(what: ServiceIdentifier<T>): T => container.get(what);
  const executor = get<Executor<Task>>(Executor);
  const clock = around.wrappers?.clock ?? systemClock;
  const directory = get(ChannelDirectory);
  const resume = async (task: TaskId): Promise<RunOutcome> => (await executor.run(task)).outcome;

  const redis = get(ids.callRedis);
  const ledger = openLedger({ ...around, clock, database: get(ids.database), redis });
  const cases = casesOf(container, { config, log, clock }, ledger);
  const flows = flowsOf(container, { config, log, clock });
  const refresh = refreshing(directory, log);

  const pool = openWorkQueues({ config, log, clock }, get(QueuedWakeUps), resume);
  const metrics = metricsOf(container, { config, log, clock }, pool);
  const purger = get(Purger);
  const others = [get(Compensator), flows.settlement, cases, get(BatchRunner), ledger];
  const working = [pool, purger, ...others, get(ids.notices)];
  const close = closing(container, refresh, working, { pool, metrics });
  return {
    instanceId,
    config,
    clock,
    log,
    database: get(ids.database),
    redis,
    executor,
    router: get(LiveRouter),
    directory,
    desk: get(DeductionDesk),
    refundDesk: get(RefundDesk),
    batchDesk: get(BatchDesk),
    batchRunner: get(BatchRunner),
    compensator: get(Compensator),
    ledger,
    cases,
    notices: get(ids.notices),
    metrics,
    httpObserver: get(ids.meters)?.http,
    flows,
    deductions: get(DeductionStore),
    callbacks: get(CallbackStore),
    refunds: get(RefundStore),
    calls: get(CallStore),
    repayments: get(RepaymentStore),
    batches: get(BatchStore),
    channelStore: get(ChannelStore),
    access: get(AccessStore),
    workQueues: pool,
    reconciler: get(Reconciler),
    breaks: get(BreakStore),
    pendingMigrations: async () => await pendingMigrations(get(ids.database)),
    resume,
    startPoller: () => {
      purger.start();
      pool.start();
    },
    startWork: () => {
      for (const one of working) one.start();
    },
    close,
  };
}

/** Works by itself from `start` to `close`. */
interface Working {
  start(): void;
  close(): Promise<void>;
}

function closing(
  container: Container,
  refresh: NodeJS.Timeout,
  working: readonly Working[],
  { pool, metrics }: { pool: WorkQueues; metrics: MetricsServices | null },
) {
  const get = <T>(what: ServiceIdentifier<T>): T => container.get(what);
  return async (): Promise<void> => {
    clearInterval(refresh);
    // First what starts work, then what work needs.
    await Promise.all(working.map(async (one) => await one.close()));
    // Until here a scrape shows how the work under way ends.
    await metrics?.close();
    await get(QueuedWakeUps).close();
    pool.disconnect();
    get(ids.callRedis).disconnect();
    await get(RedisLocks).close();
    await Promise.all([get(CallbackStore).flush(), get(CallStore).flush()]);
    await get(ChannelDirectory).close();
    const databases = [get(ids.database), get(ids.journalDatabase)];
    await Promise.all(databases.map(async (one) => await one.destroy()));
  };
}

function metricsOf(
  container: Container,
  basics: Basics,
  queues: WorkQueues,
): MetricsServices | null {
  const meters = container.get(ids.meters);
  if (meters === null) return null;
  const directory = container.get(ChannelDirectory);
  const health = container.get(RoutingHealth);
  return openMetrics({ ...basics, directory, health, queues }, meters);
}

function casesOf(container: Container, basics: Basics, ledger: LedgerServices): CaseServices {
  return openCaseServices({
    ...basics,
    database: container.get(ids.database),
    executor: container.get<Executor<Task>>(Executor),
    deductions: container.get(DeductionStore),
    refunds: container.get(RefundStore),
    refundDesk: container.get(RefundDesk),
    breaks: container.get(BreakStore),
    ledger: ledger.reads,
    notices: container.get(ids.notices).items,
  });
}

function flowsOf(container: Container, basics: Basics): FlowServices {
  return openFlows({
    ...basics,
    database: container.get(ids.database),
    executor: container.get<Executor<Task>>(Executor),
    router: container.get(LiveRouter),
    directory: container.get(ChannelDirectory),
  });
}

function containerFor({ config, env, log, wrappers }: Surroundings, instanceId: string): Container {
  const container = new Container({ defaultScope: 'Singleton' });
  const clock = wrappers?.clock ?? systemClock;
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

  bind(ids.notices).toResolvedValue(
    (database: Database) =>
      openNotices({ config, env, database, clock, log, wrappers: wrappers?.notices }),
    [ids.database],
  );
  bind(ids.meters).toConstantValue(config.metricsPort === null ? null : new Meters());
  bindStores(container);
  bindExchanges(container, { config, log, clock });
  bind(QueuedWakeUps).toResolvedValue(
    (redis: Redis) => new QueuedWakeUps(redis, taskKinds, clock, log),
    [ids.callRedis],
  );
  bind(ids.wakeUps).toService(QueuedWakeUps);

  bindRouting(container, { config, env, log, clock });
  bind(ids.channels).toResolvedValue(
    (directory: ChannelDirectory) => wrappers?.channels?.(directory) ?? directory,
    [ChannelDirectory],
  );
  bindEngine(container, { config, log, clock }, instanceId, wrappers);
  bindIntake(container, { config, log, clock }, instanceId);
  bindCompensator(container, { config, log, clock }, instanceId);
  bindReconciliation(container, { config, log, clock });
  return container;
}

function bindEngine(
  container: Container,
  { config, log, clock }: Basics,
  instanceId: string,
  wrappers: Wrappers | undefined,
): void {
  const bind = container.bind.bind(container);
  bind(ids.journal).toResolvedValue(
    (
      database: Database,
      writes: Database,
      { directory }: NoticeServices,
      meters: Meters | null,
    ) => {
      const notices = () => directory.interest();
      const options = { writes, notices, ...(meters && { observer: meters.commits }) };
      const journal = new SqlJournal(database, config.businessZone, clock, log, options);
      return wrappers?.journal?.(journal) ?? journal;
    },
    [ids.database, ids.journalDatabase, ids.notices, ids.meters],
  );
  bind(RedisLocks).toResolvedValue(() => {
    const redis = connectRedis(config.redisUrl, lockOptions, log, 'locks');
    return new RedisLocks(redis, config.lockLeaseMs, clock, log);
  });
  bind(ids.locks).toResolvedValue(
    (locks: RedisLocks, meters: Meters | null) => meters?.timed(locks) ?? locks,
    [RedisLocks, ids.meters],
  );
  bind(Executor).toResolvedValue(
    (
      journal: Journal<Task>,
      locks: Locks,
      channels: Channels,
      router: LiveRouter,
      wakeUps: WakeUps,
      meters: Meters | null,
    ) => {
      const stores = { flow: taskFlow, journal, locks, channels, router, wakeUps, clock, log };
      return new Executor<Task>(
        { ...stores, ...(meters && { observer: meters.run }) },
        { executorId: instanceId, leaseMarginMs, lockWaitMs },
      );
    },
    [ids.journal, ids.locks, ids.channels, LiveRouter, ids.wakeUps, ids.meters],
  );
}

/** What passed between us and the channels: receipts and counts of callbacks, the call journal. */
function bindExchanges(container: Container, { config, log, clock }: Basics): void {
  container
    .bind(CallbackStore)
    .toResolvedValue(
      (database: Database, meters: Meters | null) =>
        new CallbackStore(database, clock, log, meters?.callback),
      [ids.database, ids.meters],
    );
  container
    .bind(CallStore)
    .toResolvedValue((database: Database) => new CallStore(database, log), [ids.database]);
  container.bind(Purger).toResolvedValue(
    (callbacks: CallbackStore, calls: CallStore, { aged: notices }: NoticeServices) =>
      new Purger(
        [
          {
            name: 'callbacks',
            keepMs: config.callbackKeepMs,
            purge: callbacks.purge.bind(callbacks),
          },
          { name: 'calls', keepMs: config.callKeepMs, purge: calls.purge.bind(calls) },
          notices,
        ],
        clock,
        log,
      ),
    [CallbackStore, CallStore, ids.notices],
  );
}

function bindCompensator(
  container: Container,
  { config, log, clock }: Basics,
  instanceId: string,
): void {
  container.bind(Compensator).toResolvedValue(
    (inFlight: SqlInFlightLog, executor: Executor<Task>, meters: Meters | null) =>
      new Compensator(
        inFlight,
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
      ),
    [SqlInFlightLog, Executor, ids.meters],
  );
}

function bindReconciliation(container: Container, { config, log, clock }: Basics): void {
  container.bind(Reconciler).toResolvedValue(
    (
      statements: StatementStore,
      matching: MatchingStore,
      breaks: BreakStore,
      directory: ChannelDirectory,
      executor: Executor<Task>,
    ) =>
      new Reconciler({
        statements,
        matching,
        breaks,
        profiles: () => directory.profiles(),
        submit: async (task: TaskId, evidence: StatementEvidence) => {
          const { outcome } = await executor.run(task, evidence);
          return outcome === 'ended' || outcome === 'review' || outcome === 'waiting';
        },
        clock,
        log,
        zone: config.businessZone,
      }),
    [StatementStore, MatchingStore, BreakStore, ChannelDirectory, Executor],
  );
}

function bindStores(container: Container): void {
  const stores = [
    DeductionStore,
    RefundStore,
    RepaymentStore,
    BatchStore,
    ChannelStore,
    AccessStore,
    SqlInFlightLog,
    StatementStore,
    MatchingStore,
    BreakStore,
  ] as const;
  for (const Store of stores) {
    container
      .bind<InstanceType<typeof Store>>(Store)
      .toResolvedValue((database: Database) => new Store(database), [ids.database]);
  }
}

interface Basics {
  readonly config: Config;
  readonly log: Log;
  readonly clock: Clock;
}

const observers = (first: ChannelObserver, second?: ChannelObserver): ChannelObserver =>
  second === undefined
    ? first
    : (observed) => {
        first(observed);
        second(observed);
      };

function bindRouting(
  container: Container,
  { config, env, log, clock }: Basics & Pick<Surroundings, 'env'>,
): void {
  container.bind(RoutingHealth).toResolvedValue(() => new RoutingHealth(clock));
  container
    .bind(ChannelDirectory)
    .toResolvedValue(
      (store: ChannelStore, health: RoutingHealth, calls: CallStore, meters: Meters | null) =>
        new ChannelDirectory(
          store,
          env,
          observers(health.observer, meters?.call),
          clock,
          log,
          config.lockLeaseMs * 0.99 - leaseMarginMs,
          (call) => calls.record(call),
        ),
      [ChannelStore, RoutingHealth, CallStore, ids.meters],
    );
  container.bind(LiveRouter).toResolvedValue(
    (directory: ChannelDirectory, { charges, payouts }: RoutingHealth, store: ChannelStore) => {
      const settings = { ...liveRouterDefaults, zone: config.businessZone };
      return new LiveRouter(termsFrom(directory), charges, store, clock, settings, payouts);
    },
    [ChannelDirectory, RoutingHealth, ChannelStore],
  );
}

function bindIntake(container: Container, { config, log, clock }: Basics, workerId: string): void {
  container.bind(DeductionDesk).toResolvedValue(
    (
      repayments: RepaymentStore,
      deductions: DeductionStore,
      router: LiveRouter,
      executor: Executor<Task>,
    ) =>
      new DeductionDesk(
        {
          repayment: (one) => repayments.find(one),
          byRequest: (key) => deductions.findByRequest(key),
          liveOn: (one) => deductions.findLive(one),
        },
        router,
        executor,
        clock,
        { attemptWindowMs: config.attemptWindowMs },
      ),
    [RepaymentStore, DeductionStore, LiveRouter, Executor],
  );
  container.bind(RefundDesk).toResolvedValue(
    (
      refunds: RefundStore,
      repayments: RepaymentStore,
      tasks: DeductionStore,
      directory: ChannelDirectory,
      executor: Executor<Task>,
    ) => {
      const reads = refundReadsFrom({ refunds, repayments, tasks, directory });
      return new RefundDesk(reads, executor, clock);
    },
    [RefundStore, RepaymentStore, DeductionStore, ChannelDirectory, Executor],
  );
  container
    .bind(BatchDesk)
    .toResolvedValue(
      (batches: BatchStore, repayments: RepaymentStore) =>
        new BatchDesk(batches, repayments, clock),
      [BatchStore, RepaymentStore],
    );
  container.bind(BatchRunner).toResolvedValue(
    (batches: BatchStore, desk: DeductionDesk) =>
      new BatchRunner(batches, desk, clock, log, {
        workerId,
        inFlightMax: config.batchInFlight,
        idleMs: 500,
        claimMs: config.batchClaimMs,
      }),
    [BatchStore, DeductionDesk],
  );
}
