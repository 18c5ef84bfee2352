/**
 * Deductions whose channel says "at work on it" and is asked later, by a wake-up from the queue. With
 * the argument `stuck` there are as many withdrawals at a third party that answers no question: each
 * holds its consumer until the question's time is over, for as long as the benchmark runs.
 */
import type { Journal } from '../../src/engine/journal.js';
import type { ChannelNature } from '../../src/engine/order.js';
import type { ChannelCalls, Channels } from '../../src/engine/ports.js';
import type { Task } from '../../src/engine/tasks.js';
import { channelId, newTaskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { channelMs, inProcess, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { lanes, serve, type Subject } from '../subject.js';

const stuckParty = channelId('bench_stuck');
/** What a question to the third party that hangs may take: what `query_ms` is in the examples' order. */
const hangMs = 10_000;
/** An order is asked about after so long; one that is stuck again after so long. */
const askAfterMs = 50;

const nature: ChannelNature = {
  idempotent: true,
  honoursExpiry: false,
  closeProof: 'none',
  visibilityMs: 0,
  pollScheduleMs: Array.from({ length: 50 }, () => askAfterMs),
};

const pause = async (ms: number): Promise<void> =>
  await new Promise((resolve) => void setTimeout(resolve, ms).unref());

function channels(): Channels {
  const usual = inProcess()({ get: () => undefined }).get(stuckParty) as ChannelCalls;
  const asked: ChannelCalls = {
    ...usual,
    charge: async () => {
      await pause(channelMs);
      return { kind: 'pending', channelRef: null };
    },
    query: async ({ orderNo }) => {
      await pause(channelMs);
      return { kind: 'succeeded', channelRef: `REF${orderNo}` };
    },
  };
  const stuck: ChannelCalls = {
    ...usual,
    timeoutsMs: { charge: 1_000, query: hangMs, close: 1_000 },
    debit: async () => await Promise.resolve({ kind: 'pending', channelRef: null }),
    query: async () => {
      await pause(hangMs);
      return { kind: 'unknown', why: 'timeout', detail: 'hung' };
    },
  };
  return { get: (id) => (id === stuckParty ? stuck : asked) };
}

async function open(): Promise<Subject> {
  const isStuck = process.argv[2] === 'stuck';
  const ends = new Map<string, () => void>();
  const watched = (inner: Journal<Task>): Journal<Task> => ({
    load: async (id) => await inner.load(id),
    loadAfter: async (id, seq) => await inner.loadAfter(id, seq),
    append: async (append) => {
      await inner.append(append);
      if (append.state.end !== null) ends.get(append.taskId)?.();
    },
  });
  const profiles = inProcessProfiles().map((profile) => ({
    ...profile,
    nature: { ...(profile['nature'] as object), poll_schedule_ms: [askAfterMs, 600_000] },
  }));
  const services = await openRecoup(
    profiles,
    { channels, journal: watched },
    // The sweep, too, finds the withdrawals overdue and hangs on them.
    { config: { compensatorAgeMs: 2_000, compensatorIntervalMs: 1_000 } },
  );
  services.startPoller();
  services.compensator.start();
  let started = 0;
  const withdraw = async (count: number): Promise<void> => {
    for (; started < count; started += 1) {
      const id = newTaskId();
      const account = { token: `tok_ok_${id}`, bankCode: 'ICBC', last4: '0000' };
      const withdrawal = {
        id,
        memberId: `bench_${started}`,
        amountMinor: amountMinor(10_000),
        currency: 'CNY' as const,
        account,
        funding: { party: { channelId: stuckParty, nature, orderTtlMs: 3_600_000 }, account },
        requestKey: `bench:${id}`,
        requestDigest: '0'.repeat(64),
        attemptUntilMs: Date.now() + 86_400_000,
      };
      const entry = { kind: 'withdrawal_accepted', atMs: Date.now(), withdrawal } as const;
      await services.executor.start([entry]).finished;
    }
  };
  return {
    async prepare(load) {
      if (isStuck) await withdraw(load.inFlight * 4);
      const due = await registered(services.repayments, load.count);
      return {
        run: async () =>
          await lanes(load, async (index) => {
            const repayment = due[index];
            if (repayment === undefined) throw new Error('too few repayments');
            const beganMs = performance.now();
            const { deductionId } = await services.desk.start(requestFor(repayment), repayment);
            await new Promise<void>((resolve) => ends.set(deductionId, resolve));
            ends.delete(deductionId);
            return performance.now() - beganMs;
          }),
      };
    },
    close: async () => await services.close(),
  };
}

await serve(open);
