import type { Unsettled } from '../compensation/settlement.js';
import type { InFlightLog } from '../compensation/sweep.js';
import type { Entry } from '../engine/entries.js';
import type { Task } from '../engine/tasks.js';
import type { Append, Journal } from '../engine/journal.js';
import { RecoupError } from '../errors.js';
import { channelId, taskId, type TaskId } from '../ids.js';
import type { DeskReads } from '../intake/deduction-desk.js';
import type { RefundReads } from '../intake/refund-desk.js';
import type { TopUpDeskReads } from '../intake/top-up-desk.js';
import type { TopUpRecord } from '../intake/top-up.js';
import type { WithdrawalDeskReads } from '../intake/withdrawal-desk.js';
import type { WithdrawalRecord } from '../intake/withdrawal.js';
import type { DeductionRecord, RefundRecord } from '../intake/records.js';
import { amountMinor } from '../money.js';
import type { LiveRouter } from '../routing/live-router.js';
import { partyOf } from './flow-plan.js';
import { MemoryInFlightLog, type Stored } from './memory-database.js';
import { refundReadsOf } from './refund-reads.js';
import type { SimProcess } from './sim-process.js';
import type { World } from './world.js';

/** The database as one process sees it: late, refusing, and now and then silent about what it did. */
export function journalOf(process: SimProcess): Journal<Task> {
  const { world } = process;
  const read = async (id: TaskId): Promise<readonly Entry[] | null> => {
    const task = world.ordinalOf(id);
    return await process.io(1, () => {
      if (world.faults.strikes('read_refused', task)) throw unavailable();
      return world.database.entries(id);
    });
  };
  return {
    load: async (id) => {
      const entries = await read(id);
      return entries && { kind: 'deduction', entries: [...entries] };
    },
    loadAfter: async (id, afterSeq) => (await read(id))?.slice(afterSeq) ?? [],
    append: async (append) => await commit(process, append),
  };
}

async function commit(process: SimProcess, append: Append<Task>): Promise<void> {
  const { world } = process;
  const { faults } = world;
  const task = world.ordinalOf(append.taskId);
  await new Promise<void>((resolve, reject) => {
    if (faults.strikes('crash_before_commit', task)) return process.crash();
    if (faults.strikes('pause_before_commit', task)) {
      process.pause(faults.extent().spread(1_000, 300_000));
    }
    const late = faults.strikes('commit_late', task);
    const slow = faults.strikes('commit_slow', task);
    const delayMs = late || slow ? faults.extent().spread(500, 20_000) : 3;
    // Its patience ends and it hears "not known"; the server still commits what it was sent.
    if (late) world.time.after(5, () => process.deliver(() => reject(unavailable())));
    const gone = world.chanceOf(task).yes(0.5);
    const apply = (): void => {
      if (!process.alive && !gone) return;
      if (faults.strikes('commit_refused', task)) {
        return process.deliver(() => reject(unavailable()));
      }
      try {
        world.database.append(append);
        world.options.watch?.({ kind: 'append', append, outcome: 'committed' });
      } catch (error) {
        world.options.watch?.({ kind: 'append', append, outcome: outcomeOf(error) });
        world.note('journal', `refuses ${append.writer}: ${String(error)}`, task);
        return process.deliver(() =>
          reject(error instanceof Error ? error : new Error(String(error))),
        );
      }
      world.committed(append);
      if (faults.strikes('crash_after_commit', task)) return process.crash();
      const unheard = faults.strikes('commit_unheard', task);
      process.deliver(() => (unheard ? reject(unavailable()) : resolve()));
    };
    // COMMIT leaves the process when it runs, and not while it stands still.
    if (process.paused) process.deliver(() => world.outside(delayMs, apply));
    else world.outside(delayMs, apply);
  });
}

export const outcomeOf = (error: unknown): string =>
  error instanceof RecoupError ? error.code : error instanceof Error ? error.name : String(error);

const unavailable = (): RecoupError => new RecoupError('journal_unavailable');

export function inFlightOf(process: SimProcess): InFlightLog {
  const inFlight = new MemoryInFlightLog(process.world.database);
  return {
    claimOverdue: async (claim) =>
      await process.io(2, () => {
        const claimed = inFlight.claimOverdue(claim);
        process.world.options.watch?.({ kind: 'claim', claim, claimed });
        return claimed;
      }),
  };
}

/** What may have been or may yet be taken, or paid out, of the day's limits. */
export function usageOf({ database }: World) {
  const routed = [...database.attempts.values()]
    .flat()
    .filter(({ operation }) => operation === 'charge' || operation === 'payout');
  return routed.map((row) => ({
    operation: row['operation'] as 'charge' | 'payout',
    channelId: channelId(String(row['channel_id'])),
    bankCode: String(row['bank_code']),
    amountMinor: BigInt(String(row['amount_minor'])),
  }));
}

export function deskReadsOf(process: SimProcess): DeskReads {
  const { database } = process.world;
  return {
    repayment: async (id) =>
      await process.io(1, () => {
        const balance = database.repayments.get(id);
        if (balance === undefined) return null;
        const { facts, paid, collecting } = balance;
        return {
          ...facts,
          paidMinor: amountMinor(paid),
          collectingMinor: amountMinor(collecting),
        };
      }),
    byRequest: async (key) => await process.io(1, () => recordOf(database.byRequest(key))),
    liveOn: async (id) => await process.io(1, () => recordOf(database.liveOn(id))),
  };
}

export function refundDeskReadsOf(process: SimProcess): RefundReads {
  const { world } = process;
  const reads = refundReadsOf(world);
  return {
    capture: async (task, attemptNo) => await process.io(1, () => reads.capture(task, attemptNo)),
    account: async (capture) => await process.io(1, () => reads.account(capture)),
    byRequest: async (key) =>
      await process.io(1, () => {
        const id = reads.byRequest(key);
        // The desk asks it for its id alone.
        return id === null ? null : ({ id } as RefundRecord);
      }),
    terms: (id) => {
      const character = world.channels.get(id)?.character;
      if (character === undefined) return null;
      // As `channels/refund-terms.ts` has it.
      const nature = { ...character.nature, honoursExpiry: false, closeProof: 'none' } as const;
      return { nature, orderTtlMs: character.orderTtlMs };
    },
  };
}

export function withdrawalReadsOf(process: SimProcess): WithdrawalDeskReads {
  const { world } = process;
  const { flows } = world.database;
  return {
    member: async (id, currency) =>
      await process.io(1, () => {
        const account = flows.members.get(`${id} ${currency}`);
        if (account === undefined) return null;
        const balanceMinor = amountMinor(account.balance);
        return { id, currency, balanceMinor, createdAt: new Date(0) };
      }),
    byRequest: async (key) =>
      await process.io(1, () => {
        const row = flows.withdrawals.get(flows.withdrawalByRequest(key) ?? '');
        if (row === undefined) return null;
        // The desk asks it for these two alone.
        const { id, request_digest: requestDigest } = row;
        return { id, requestDigest } as WithdrawalRecord;
      }),
    accountService: (id) => {
      const service = world.channels.get(id)?.character;
      return service === undefined ? null : { ...partyOf(service), paused: false };
    },
  };
}

export function topUpReadsOf(process: SimProcess, router: LiveRouter): TopUpDeskReads {
  const { world } = process;
  const { flows } = world.database;
  return {
    byRequest: async (key) =>
      await process.io(1, () => {
        const row = flows.topUps.get(flows.topUpByRequest(key) ?? '');
        if (row === undefined) return null;
        const { id, request_digest: requestDigest } = row;
        return { id, requestDigest } as TopUpRecord;
      }),
    cards: () => {
      const cards = world.plan.flows?.cards;
      return cards === undefined ? [] : [{ ...partyOf(cards), paused: false }];
    },
    preview: async (request) => await router.preview(request),
  };
}

export function unsettledOf(process: SimProcess): Unsettled {
  const { unsettled } = process.world.database.flows;
  return {
    claimUnsettled: async (claim) => await process.io(2, () => unsettled.claimUnsettled(claim)),
  };
}

function recordOf(row: Stored | null): DeductionRecord | null {
  if (row === null) return null;
  const text = (column: string): string | null =>
    row[column] === null || row[column] === undefined ? null : String(row[column]);
  return {
    id: taskId(String(row['id'])),
    repaymentId: String(row['repayment_id']),
    borrowerId: String(row['borrower_id']),
    amountMinor: amountMinor(String(row['amount_minor'])),
    currency: 'CNY',
    bankCode: String(row['bank_code']),
    accountLast4: String(row['account_last4']),
    source: String(row['source']) as DeductionRecord['source'],
    status: String(row['status']) as DeductionRecord['status'],
    failureCode: text('failure_code'),
    failureDetail: text('failure_detail'),
    channelId: text('channel_id'),
    orderNo: text('order_no'),
    batchId: text('batch_id'),
    agentName: text('agent_name'),
    agentReason: text('agent_reason'),
    requestDigest: String(row['request_digest']),
    createdAt: new Date(`${String(row['created_at'])}Z`),
    endedAt: null,
  };
}
