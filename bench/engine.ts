/**
 * What the engine itself costs: deductions through the real journal and the real locks, with a channel
 * that answers at once. Each figure is a ratio to the plainest form, measured in the same run:
 *
 *   node scripts/run.mjs -- node dist/bench/engine.js [deductions]
 */
import { randomUUID } from 'node:crypto';
import { systemClock } from '../src/clock.js';
import { loadConfig } from '../src/config.js';
import { deductionFlow, type DeductionState } from '../src/engine/deduction.js';
import { Executor } from '../src/engine/executor.js';
import type { Entry } from '../src/engine/entries.js';
import type { Locks } from '../src/engine/ports.js';
import { channelId, newTaskId, repaymentId } from '../src/ids.js';
import type { NewRepayment } from '../src/intake/repayment.js';
import { silentLog } from '../src/log.js';
import { amountMinor } from '../src/money.js';
import { RedisLocks } from '../src/queue/locks.js';
import { connectRedis, lockOptions } from '../src/queue/redis.js';
import { openDatabase } from '../src/store/database.js';
import type { GroupCommitSettings } from '../src/store/group-commit.js';
import { migrate } from '../src/store/migrate.js';
import { RepaymentStore } from '../src/store/repayments.js';
import { defaultGroupCommit, SqlJournal } from '../src/store/sql-journal.js';

const count = Number(process.argv[2] ?? 4_000);
const inFlight = 512;
const config = loadConfig(process.env);
await migrate(config.migrationUrl, config.databaseUrl, silentLog);
const database = openDatabase(config.databaseUrl, 40, silentLog);
const redis = connectRedis(config.redisUrl, lockOptions, silentLog, 'bench');
while (redis.status !== 'ready') await systemClock.sleep(5);

const noLocks: Locks = {
  acquire: async () => ({
    remainingMs: () => 60_000,
    extend: async () => undefined,
    release: async () => undefined,
  }),
};
const realLocks = new RedisLocks(redis, 60_000, systemClock, silentLog);

const place = {
  channelId: channelId('bench'),
  reason: 'bench',
  expectedCostMinor: 0,
  orderTtlMs: 60_000,
  nature: {
    idempotent: true,
    honoursExpiry: true,
    closeProof: 'none',
    visibilityMs: 1_000,
    pollScheduleMs: [1_000],
  },
} as const;

async function measure(name: string, settings: GroupCommitSettings, locks: Locks) {
  const executor = new Executor<DeductionState>(
    {
      flow: deductionFlow,
      journal: new SqlJournal(database, config.businessZone, systemClock, silentLog, settings),
      locks,
      channels: {
        get: () => ({
          timeoutsMs: { charge: 1_000, query: 1_000, close: 1_000 },
          charge: async () => ({ kind: 'succeeded', channelRef: randomUUID() }),
          query: async () => ({ kind: 'not_found' }),
        }),
      },
      router: { plan: async () => ({ places: [place], rejected: [] }) },
      wakeUps: { schedule: async () => undefined },
      clock: systemClock,
      log: silentLog,
    },
    { executorId: randomUUID(), leaseMarginMs: 2_000, lockWaitMs: 0 },
  );
  const repayments = await registered();
  const beganMs = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < repayments.length) {
      const repayment = repayments[next] as NewRepayment;
      next += 1;
      const { outcome } = await executor.start(firstEntries(repayment)).finished;
      if (outcome !== 'ended') throw new Error(outcome);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const perSecond = count / ((performance.now() - beganMs) / 1_000);
  return { name, perSecond };
}

async function registered(): Promise<NewRepayment[]> {
  const store = new RepaymentStore(database);
  const made = Array.from({ length: count }, (): NewRepayment => {
    const id = repaymentId(`bench_${randomUUID()}`);
    return {
      id,
      borrowerId: 'bench',
      currency: 'CNY',
      dueMinor: amountMinor(10_000),
      dueDate: '2026-11-22',
      account: { token: 'tok_bench', bankCode: 'ICBC', last4: '0000' },
    };
  });
  for (let at = 0; at < made.length; at += 500) {
    await store.register(made.slice(at, at + 500), Date.now());
  }
  return made;
}

function firstEntries(repayment: NewRepayment): [Entry, Entry] {
  const atMs = Date.now();
  const id = newTaskId();
  return [
    {
      kind: 'accepted',
      atMs,
      deduction: {
        id,
        repaymentId: repayment.id,
        borrowerId: repayment.borrowerId,
        amountMinor: repayment.dueMinor,
        currency: 'CNY',
        account: repayment.account,
        source: 'batch',
        requestKey: id,
        requestDigest: '0'.repeat(64),
        batchId: null,
        agent: null,
        attemptUntilMs: atMs + 60_000,
      },
    },
    { kind: 'routed', atMs, route: { places: [place], rejected: [] } },
  ];
}

const one = { ...defaultGroupCommit, batchMax: 1, committers: 32 };
await measure('warm-up', defaultGroupCommit, noLocks);
const results = [
  await measure('one transaction a write, 32 connections, locks', one, realLocks),
  await measure('group commit, locks', defaultGroupCommit, realLocks),
  await measure('group commit, no locks', defaultGroupCommit, noLocks),
];
const base = results[0]?.perSecond ?? 1;
for (const { name, perSecond } of results) {
  const ratio = (perSecond / base).toFixed(1);
  process.stdout.write(`${name.padEnd(50)} ${perSecond.toFixed(0).padStart(7)}/s  ×${ratio}\n`);
}
redis.disconnect();
await database.destroy();
