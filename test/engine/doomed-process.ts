/** A process of Recoup that is killed in the middle of deductions or withdrawals (test/support/doomed.ts). */
import { ChannelDirectory } from '../../src/channels/directory.js';
import { accountOperations, partyOf } from '../../src/channels/party.js';
import { isRouted } from '../../src/channels/profile.js';
import { routedTerms } from '../../src/composition/routing.js';
import { systemClock } from '../../src/clock.js';
import { loadConfig } from '../../src/config.js';
import { taskFlow, type Task } from '../../src/engine/tasks.js';
import { Executor } from '../../src/engine/executor.js';
import type { Log } from '../../src/engine/ports.js';
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
import { obey, type Life, type LifeOrders } from '../support/doomed.js';
import { finish } from '../support/finish.js';

export interface Doom extends LifeOrders {
  /** A new deduction for this repayment, or … */
  readonly repayment?: string;
  /** … a new withdrawal, or … */
  readonly withdrawal?: DoomedWithdrawal;
  /** … this task, resumed. */
  readonly task?: string;
  /** Two people decide first that the debit of its case of this number goes back. */
  readonly restores?: number;
}

export interface DoomedWithdrawal {
  readonly memberId: string;
  readonly key: string;
  readonly amount: number;
  readonly token: string;
  /** Of an account at the account service; null: the member's balance in our tables. */
  readonly serviceToken: string | null;
}

async function live(doom: Doom, life: Life, env: Record<string, string>): Promise<void> {
  const { executor, deductions, desk, withdrawalDesk, close } = await wire(life, env);
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
    task = started.id;
    await started.finished;
  }
  if (task === null) throw new Error('nothing to do');
  if (doom.restores !== undefined) {
    const decision = { action: 'restore', reason: 'the service has it in its books' } as const;
    const about = { kind: 'decision', caseNo: doom.restores, decision } as const;
    await executor.run(task, { ...about, by: 'ann', approvedBy: 'ben' });
  }
  await finish({ clock: systemClock, executor, deductions }, task);
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

/**
 * By hand and without the queue, since starting is what these processes mostly do. Everything of its
 * own for each life: none hears of a channel's health from another.
 */
async function wire(life: Life, env: Record<string, string>) {
  const quiet = (): void => undefined;
  const log: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const config = loadConfig(env);
  const database = openDatabase(config.databaseUrl, 4, log, { bundles: true });
  const redis = connectRedis(config.redisUrl, lockOptions, log, 'locks');
  const store = new ChannelStore(database);
  const directory = new ChannelDirectory(store, env, quiet, systemClock, log, 30_000);
  await directory.refresh();
  const terms = directory.profiles().filter(isRouted).map(routedTerms);
  const settings = { ...liveRouterDefaults, zone: config.businessZone };
  const router = new LiveRouter(() => terms, new LiveHealth(), store, systemClock, settings);
  const executor = new Executor<Task>(
    {
      flow: taskFlow,
      journal: life.journal(new SqlJournal(database, config.businessZone, systemClock, log)),
      locks: new RedisLocks(redis, config.lockLeaseMs, systemClock, log),
      channels: life.channels(directory),
      router,
      wakeUps: { schedule: async () => undefined },
      clock: systemClock,
      log,
    },
    { executorId: `doomed-${process.pid}-${life.no}`, leaseMarginMs: 2_000, lockWaitMs: 1_000 },
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
  return { executor, deductions, desk, withdrawalDesk, close };
}

await obey(live);
