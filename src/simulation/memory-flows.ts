/**
 * The tables of `migrations/009-withdrawals.ts` and `010-top-ups.ts`, with their constraints: members'
 * balances, the money log, withdrawals and top-ups. The tables that they share with the other kinds
 * of task are in memory-database.ts.
 */
import type { Unsettled } from '../compensation/settlement.js';
import { RecoupError } from '../errors.js';
import { taskId, type TaskId } from '../ids.js';
import { sqlTime } from '../store/database.js';
import type { Projected, Row } from '../store/projections.js';
import type { Stored } from './memory-database.js';

export interface MemberBalance {
  readonly id: string;
  readonly currency: string;
  balance: bigint;
}

const live = new Set(['processing', 'needs_review']);

export class FlowTables {
  readonly withdrawals = new Map<string, Stored>();
  readonly topUps = new Map<string, Stored>();
  readonly members = new Map<string, MemberBalance>();
  /** The money log, by cause and kind. */
  readonly memberEntries = new Map<string, Stored>();
  readonly unsettled = new MemoryUnsettled(this);
  readonly #withdrawalRequests = new Map<string, string>();
  readonly #topUpRequests = new Map<string, string>();

  /** A member with money. */
  open(id: string, currency: string, amount: bigint): void {
    this.members.set(`${id} ${currency}`, { id, currency, balance: amount });
    const cause = `deposit_${id}`;
    this.memberEntries.set(`${cause} deposited`, {
      cause_id: cause,
      kind: 'deposited',
      member_id: id,
      currency,
      amount_minor: amount.toString(),
    });
  }

  withdrawalByRequest(requestKey: string): string | null {
    return this.#withdrawalRequests.get(requestKey) ?? null;
  }

  topUpByRequest(requestKey: string): string | null {
    return this.#topUpRequests.get(requestKey) ?? null;
  }

  /** In the order in which MariaDB looks: keys, then parents. */
  checkTasks(projected: Projected): void {
    const { withdrawalInsert, withdrawalUpdate, topUpInsert, topUpUpdate } = projected;
    if (withdrawalInsert !== null) {
      checkWithdrawal(withdrawalInsert);
      if (this.#withdrawalRequests.has(String(withdrawalInsert['request_key']))) {
        throw new RecoupError('request_repeated');
      }
      const { balance_of: balanceOf, currency } = withdrawalInsert;
      if (balanceOf !== null && !this.members.has(`${balanceOf} ${currency}`)) {
        throw new RecoupError('member_unknown');
      }
    }
    if (withdrawalUpdate !== null) checkWithdrawal(withdrawalUpdate);
    if (topUpInsert !== null) {
      checkTopUp(topUpInsert);
      if (this.#topUpRequests.has(String(topUpInsert['request_key']))) {
        throw new RecoupError('request_repeated');
      }
    }
    if (topUpUpdate !== null) checkTopUp(topUpUpdate);
  }

  /** First of all: whoever wants an account that is held shared would wait for others who want it, too. */
  checkMember({ memberEntries, memberDelta: delta }: Projected): void {
    const account = this.members.get(`${delta?.['id']} ${delta?.['currency']}`);
    if (account !== undefined && account.balance + BigInt(delta?.['balance'] ?? 0) < 0n) {
      throw new RecoupError('balance_too_low');
    }
    for (const entry of memberEntries) {
      if (this.memberEntries.has(nameOf(entry))) {
        throw new Error('duplicate key member_entry_cause');
      }
      if (account === undefined) throw new RecoupError('member_unknown');
      checkEntry(entry);
    }
  }

  apply(taskId: string, projected: Projected): void {
    const { withdrawalInsert, withdrawalUpdate, topUpInsert, topUpUpdate } = projected;
    put(this.withdrawals, taskId, withdrawalInsert, withdrawalUpdate);
    put(this.topUps, taskId, topUpInsert, topUpUpdate);
    if (withdrawalInsert !== null) {
      this.#withdrawalRequests.set(String(withdrawalInsert['request_key']), taskId);
    }
    if (topUpInsert !== null) this.#topUpRequests.set(String(topUpInsert['request_key']), taskId);
    const { memberEntries, memberDelta } = projected;
    for (const entry of memberEntries) this.memberEntries.set(nameOf(entry), { ...entry });
    const account = this.members.get(`${memberDelta?.['id']} ${memberDelta?.['currency']}`);
    if (account !== undefined) account.balance += BigInt(memberDelta?.['balance'] ?? 0);
  }
}

const nameOf = (entry: Row): string => `${entry['cause_id']} ${entry['kind']}`;

/** What `SettlementStore` claims; `looks` and `look_at` are columns of its own. */
export class MemoryUnsettled {
  readonly #looks = new Map<string, { looks: number; lookAtMs: number }>();

  constructor(private readonly flows: FlowTables) {}

  claimUnsettled({
    nowMs,
    pauseMs,
    pauseMaxMs,
    limit,
  }: Parameters<Unsettled['claimUnsettled']>[0]): readonly TaskId[] {
    const now = sqlTime(nowMs);
    const due = [...this.flows.topUps.values()]
      .filter(({ id, ended_at: ended, settle_at: at }) => {
        const isDue = ended === null && typeof at === 'string' && at <= now;
        return isDue && (this.#looks.get(String(id))?.lookAtMs ?? 0) <= nowMs;
      })
      .toSorted((a, b) => (String(a['settle_at']) < String(b['settle_at']) ? -1 : 1))
      .slice(0, limit)
      .map(({ id }) => taskId(String(id)));
    for (const id of due) {
      const looks = this.#looks.get(id)?.looks ?? 0;
      const lookAtMs = nowMs + Math.min(pauseMs * 2 ** looks, pauseMaxMs);
      this.#looks.set(id, { looks: looks + 1, lookAtMs });
    }
    return due;
  }

  /** It has looked at all that was paid so long ago. */
  hasLookedAt(id: string): boolean {
    return this.#looks.has(id);
  }
}

function put(
  table: Map<string, Stored>,
  taskId: string,
  insert: Row | null,
  update: Row | null,
): void {
  if (insert !== null) table.set(taskId, { ...insert });
  const row = table.get(taskId);
  if (update !== null && row !== undefined) Object.assign(row, update);
}

/** The CHECK `withdrawal_states`. */
function checkWithdrawal(row: Row): void {
  const { status, ended_at: ended, failure_code: code, order_no: order } = row;
  const ok =
    (live.has(String(status)) && ended === null && code === null) ||
    (status === 'succeeded' && ended !== null && order !== null && code === null) ||
    (status === 'failed' && ended !== null && code !== null);
  if (!ok) throw new Error(`check withdrawal_states refuses ${String(status)}`);
}

/** The CHECK `top_up_states`. */
function checkTopUp(row: Row): void {
  const { status, ended_at: ended, failure_code: code } = row;
  const credited = row['credited_at'] !== null && row['refunded_at'] === null;
  const ok =
    (live.has(String(status)) && ended === null && code === null) ||
    (status === 'succeeded' && ended !== null && credited && code === null) ||
    (status === 'failed' && ended !== null && code !== null);
  if (!ok) throw new Error(`check top_up_states refuses ${String(status)}`);
}

/** The CHECK `member_entry_kinds`. */
function checkEntry({ kind, amount_minor: text }: Row): void {
  const amount = BigInt(text ?? 0);
  const ok = kind === 'withdrawn' ? amount < 0n : amount > 0n;
  if (!ok) throw new Error(`check member_entry_kinds refuses ${String(kind)} of ${amount}`);
}
