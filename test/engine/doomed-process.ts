/**
 * A process of Recoup that kills itself with SIGKILL at a durable boundary: before and after each
 * commit, before each send, while the channel has the request and the answer has not been heard, and
 * after each receive. Nothing in the product knows of this: the parts are wrapped.
 *
 * It waits for one line of JSON on stdin, so that it can be started ahead of its turn, and prints the
 * boundaries it passes.
 */
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { ChannelDirectory } from '../../src/channels/directory.js';
import { isRouted } from '../../src/channels/profile.js';
import { routedTerms } from '../../src/composition-routing.js';
import { systemClock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import { Executor } from '../../src/engine/executor.js';
import type { Journal } from '../../src/engine/journal.js';
import type { ChannelCalls, Channels, Log } from '../../src/engine/ports.js';
import { repaymentId, taskId } from '../../src/ids.js';
import { DeductionDesk } from '../../src/intake/deduction-desk.js';
import { RedisLocks } from '../../src/queue/locks.js';
import { connectRedis, lockOptions } from '../../src/queue/redis.js';
import { LiveHealth } from '../../src/routing/live-health.js';
import { LiveRouter, liveRouterDefaults } from '../../src/routing/live-router.js';
import { ChannelStore } from '../../src/store/channels.js';
import { openDatabase } from '../../src/store/database.js';
import { DeductionStore } from '../../src/store/deductions.js';
import { RepaymentStore } from '../../src/store/repayments.js';
import { SqlJournal } from '../../src/store/sql-journal.js';

export interface Doom {
  /** The boundary to die at, as it is printed ("after charge 1"); null: none. */
  readonly killAt: string | null;
  readonly env: Record<string, string>;
  /** A new deduction for this repayment, or … */
  readonly repayment?: string;
  /** … this task, resumed. */
  readonly task?: string;
  /** How long the channel needs at least to have a request, ms. */
  readonly inFlightMs: number;
}

async function main(): Promise<void> {
  process.stdout.write('ready\n');
  const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
  const doom = JSON.parse(line) as Doom;
  const { executor, desk, close } = await wire(doom);
  let task = doom.task === undefined ? null : taskId(doom.task);
  if (doom.repayment !== undefined) {
    const started = await desk.start({
      source: 'app',
      repaymentId: repaymentId(doom.repayment),
      amountMinor: null,
      requestKey: `doomed:${doom.repayment}`,
      requestDigest: '0'.repeat(64),
      batchId: null,
      agent: null,
    });
    task = started.deductionId;
    await started.finished;
  }
  if (task === null) throw new Error('nothing to do');
  for (;;) {
    const { outcome, state } = await executor.run(task);
    if (outcome === 'ended' || outcome === 'review') break;
    const nextAskMs = state?.attempts.at(-1)?.nextAskMs ?? Date.now();
    await systemClock.sleep(Math.max(20, nextAskMs - Date.now()));
  }
  process.stdout.write('finished\n');
  await close();
}

/** By hand and without the queue, since starting is what these processes mostly do. */
async function wire(doom: Doom) {
  const quiet = (): void => undefined;
  const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const config = loadConfig(doom.env);
  const database = openDatabase(config.databaseUrl, 4, log);
  const redis = connectRedis(config.redisUrl, lockOptions, log, 'locks');
  const store = new ChannelStore(database);
  const directory = new ChannelDirectory(store, doom.env, quiet, systemClock, log, 30_000);
  await directory.refresh();
  const terms = directory.profiles().filter(isRouted).map(routedTerms);
  const settings = { ...liveRouterDefaults, zone: config.businessZone };
  const router = new LiveRouter(() => terms, new LiveHealth(), store, systemClock, settings);
  const wrap = wrappersFor(doom);
  const executor = new Executor<DeductionState>(
    {
      flow: deductionFlow,
      journal: wrap.journal(new SqlJournal(database, config.businessZone, systemClock, log)),
      locks: new RedisLocks(redis, config.lockLeaseMs, systemClock, log),
      channels: wrap.channels(directory),
      router,
      wakeUps: { schedule: async () => undefined },
      clock: systemClock,
      log,
    },
    { executorId: `doomed-${process.pid}`, leaseMarginMs: 2_000, lockWaitMs: 1_000 },
  );
  const repayments = new RepaymentStore(database);
  const deductions = new DeductionStore(database);
  const reads = {
    repayment: (id: Parameters<RepaymentStore['find']>[0]) => repayments.find(id),
    byRequest: (key: string) => deductions.findByRequest(key),
    liveOn: (id: Parameters<DeductionStore['findLive']>[0]) => deductions.findLive(id),
  };
  const window = { attemptWindowMs: config.attemptWindowMs };
  const desk = new DeductionDesk(reads, router, executor, systemClock, window);
  const close = async (): Promise<void> => {
    redis.disconnect();
    await directory.close();
    await database.destroy();
  };
  return { executor, desk, close };
}

interface Wrapped {
  readonly journal: (inner: Journal<DeductionState>) => Journal<DeductionState>;
  readonly channels: (inner: Channels) => Channels;
}

function wrappersFor({ killAt, inFlightMs }: Doom): Wrapped {
  const passed = new Map<string, number>();
  // Named and not numbered through: a run that asks once more or less dies at the same place.
  const boundary = (name: string): void => {
    const nth = (passed.get(name) ?? 0) + 1;
    passed.set(name, nth);
    process.stdout.write(`${name} ${nth}\n`);
    if (`${name} ${nth}` === killAt) process.kill(process.pid, 'SIGKILL');
  };
  const doomed = (channel: ChannelCalls): ChannelCalls => {
    const around = async <A>(via: string, call: () => Promise<A>): Promise<A> => {
      boundary(`before ${via}`);
      const answer = call();
      // Passed by every call, also by one that is answered sooner: this process has not heard it.
      await waited(inFlightMs);
      boundary(`during ${via}`);
      const received = await answer;
      boundary(`after ${via}`);
      return received;
    };
    const { close } = channel;
    return {
      timeoutsMs: channel.timeoutsMs,
      charge: (order) => around('charge', () => channel.charge(order)),
      query: (order) => around('query', () => channel.query(order)),
      ...(close && { close: (order) => around('close', () => close(order)) }),
    };
  };
  return {
    journal: (inner) => ({
      load: (task) => inner.load(task),
      async append(append) {
        boundary('before commit');
        await inner.append(append);
        boundary('after commit');
      },
    }),
    channels: (inner) => ({
      get: (id) => {
        const channel = inner.get(id);
        return channel && doomed(channel);
      },
    }),
  };
}

const waited = async (ms: number): Promise<void> =>
  await new Promise((resolve) => void setTimeout(resolve, ms));

await main();
