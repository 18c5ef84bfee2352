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
import { accountOperations, partyOf } from '../../src/channels/party.js';
import { isRouted } from '../../src/channels/profile.js';
import { routedTerms } from '../../src/composition-routing.js';
import { systemClock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import { operations, type Order } from '../../src/engine/order.js';
import { taskFlow, type Task } from '../../src/engine/tasks.js';
import { Executor } from '../../src/engine/executor.js';
import type { Journal } from '../../src/engine/journal.js';
import type { ChannelCalls, Channels, Log } from '../../src/engine/ports.js';
import { channelId, repaymentId, taskId } from '../../src/ids.js';
import { DeductionDesk } from '../../src/intake/deduction-desk.js';
import { WithdrawalDesk, type WithdrawalRequest } from '../../src/intake/withdrawal-desk.js';
import { amountMinor } from '../../src/money.js';
import { RedisLocks } from '../../src/queue/locks.js';
import { connectRedis, lockOptions } from '../../src/queue/redis.js';
import { LiveHealth } from '../../src/routing/live-health.js';
import { LiveRouter, liveRouterDefaults } from '../../src/routing/live-router.js';
import { ChannelStore } from '../../src/store/channels.js';
import { openDatabase } from '../../src/store/database.js';
import { DeductionStore } from '../../src/store/deductions.js';
import { MemberStore } from '../../src/store/members.js';
import { RepaymentStore } from '../../src/store/repayments.js';
import { SqlJournal } from '../../src/store/sql-journal.js';
import { WithdrawalStore } from '../../src/store/withdrawals.js';

export interface Doom {
  /** The boundary to die at, as it is printed ("after charge 1"); null: none. */
  readonly killAt: string | null;
  readonly env: Record<string, string>;
  /** A new deduction for this repayment, or … */
  readonly repayment?: string;
  /** … a new withdrawal, or … */
  readonly withdrawal?: DoomedWithdrawal;
  /** … this task, resumed. */
  readonly task?: string;
  /** How long the channel needs at least to have a request, ms. */
  readonly inFlightMs: number;
}

export interface DoomedWithdrawal {
  readonly memberId: string;
  readonly key: string;
  readonly amount: number;
  readonly token: string;
  /** Of an account at the account service; null: the member's balance in our tables. */
  readonly serviceToken: string | null;
}

async function main(): Promise<void> {
  process.stdout.write('ready\n');
  const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
  const doom = JSON.parse(line) as Doom;
  const { executor, desk, withdrawalDesk, close } = await wire(doom);
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
  if (doom.withdrawal !== undefined) {
    const started = await withdrawalDesk.start(withdrawalOf(doom.withdrawal));
    task = started.withdrawalId;
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

function withdrawalOf(asked: DoomedWithdrawal): WithdrawalRequest {
  const { memberId, key, amount, token, serviceToken } = asked;
  const account = { token: serviceToken ?? '', bankCode: 'BALANCE', last4: '0001' };
  return {
    memberId,
    amountMinor: amountMinor(amount),
    currency: 'CNY',
    account: { token, bankCode: 'ICBC', last4: '0000' },
    accountService: serviceToken === null ? null : { id: channelId('accounts'), account },
    requestKey: key,
    requestDigest: '0'.repeat(64),
  };
}

/** By hand and without the queue, since starting is what these processes mostly do. */
async function wire(doom: Doom) {
  const quiet = (): void => undefined;
  const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const config = loadConfig(doom.env);
  const database = openDatabase(config.databaseUrl, 4, log, { bundles: true });
  const redis = connectRedis(config.redisUrl, lockOptions, log, 'locks');
  const store = new ChannelStore(database);
  const directory = new ChannelDirectory(store, doom.env, quiet, systemClock, log, 30_000);
  await directory.refresh();
  const terms = directory.profiles().filter(isRouted).map(routedTerms);
  const settings = { ...liveRouterDefaults, zone: config.businessZone };
  const router = new LiveRouter(() => terms, new LiveHealth(), store, systemClock, settings);
  const wrap = wrappersFor(doom);
  const executor = new Executor<Task>(
    {
      flow: taskFlow,
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
  const members = new MemberStore(database);
  const withdrawals = new WithdrawalStore(database);
  const withdrawalReads = {
    member: members.find.bind(members),
    byRequest: withdrawals.findByRequest.bind(withdrawals),
    accountService: (id: Parameters<typeof directory.get>[0]) => {
      const party = partyOf(directory.get(id), accountOperations);
      return party && { ...party, paused: false };
    },
  };
  const withdrawalDesk = new WithdrawalDesk(withdrawalReads, router, executor, systemClock, window);
  const close = async (): Promise<void> => {
    redis.disconnect();
    await directory.close();
    await database.destroy();
  };
  return { executor, desk, withdrawalDesk, close };
}

interface Wrapped {
  readonly journal: (inner: Journal<Task>) => Journal<Task>;
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
    const placings = operations.flatMap((operation) => {
      const place = channel[operation];
      return place === undefined
        ? []
        : [[operation, (order: Order) => around(operation, () => place(order))]];
    });
    return {
      ...(Object.fromEntries(placings) as Pick<ChannelCalls, 'charge'>),
      timeoutsMs: channel.timeoutsMs,
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
