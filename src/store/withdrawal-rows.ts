import type { Entry } from '../engine/entries.js';
import { owesDebits } from '../engine/late-debit.js';
import { operationOf, type Operation } from '../engine/order.js';
import type { WithdrawalState } from '../engine/withdrawal.js';
import { sqlTime } from './database.js';
import { firstSuccesses, message, nothing, standingOf, type KindRows, type Row } from './rows.js';

/** How a withdrawal's log shows in its own table, in the member's balance and in the money log. */
export function withdrawalRows(
  state: WithdrawalState,
  before: WithdrawalState | null,
  entries: readonly Entry[],
): KindRows {
  const memberEntries = entriesOf(state, entries);
  return {
    ...nothing,
    withdrawalInsert: before === null ? { ...facts(state), ...withdrawalRow(state) } : null,
    withdrawalUpdate: before === null ? null : withdrawalRow(state),
    memberEntries,
    memberDelta: deltaOf(state, memberEntries),
    outbox: [
      ...ofBalance(state, entries),
      ...ofOrders(state, before, entries),
      ...paidAgain(state, entries),
    ],
  };
}

function facts({ withdrawal, acceptedAtMs }: WithdrawalState): Row {
  const { memberId, funding, account } = withdrawal;
  return {
    member_id: memberId,
    amount_minor: withdrawal.amountMinor.toString(),
    currency: withdrawal.currency,
    bank_code: account.bankCode,
    account_last4: account.last4,
    balance_of: funding === null ? memberId : null,
    account_service: funding?.party.channelId ?? null,
    request_key: withdrawal.requestKey,
    request_digest: withdrawal.requestDigest,
    created_at: sqlTime(acceptedAtMs),
  };
}

export function withdrawalRow(state: WithdrawalState): Row {
  const { end } = state;
  const paid = end?.kind === 'succeeded' ? state.attempts[end.attemptNo - 1] : undefined;
  return Object.assign(standingOf(state), {
    channel_id: paid?.order.channelId ?? null,
    order_no: paid?.order.orderNo ?? null,
    gives_back: state.end !== null && owesDebits(state) ? 1 : 0,
  });
}

/** Of a balance of ours: taken by acceptance, given back by failure, each once in a log. */
function entriesOf({ taskId, withdrawal }: WithdrawalState, entries: readonly Entry[]): Row[] {
  if (withdrawal.funding !== null) return [];
  const { memberId, currency, amountMinor } = withdrawal;
  return entries.flatMap(({ kind, atMs }) => {
    if (kind !== 'withdrawal_accepted' && kind !== 'failed') return [];
    const taken = kind === 'withdrawal_accepted';
    return [
      {
        cause_id: taskId,
        kind: taken ? 'withdrawn' : 'given_back',
        member_id: memberId,
        currency,
        amount_minor: `${taken ? '-' : ''}${amountMinor}`,
        at: sqlTime(atMs),
      },
    ];
  });
}

function deltaOf({ withdrawal }: WithdrawalState, moved: readonly Row[]): Row | null {
  if (moved.length === 0) return null;
  const balance = moved.reduce((sum, row) => sum + BigInt(row['amount_minor'] ?? 0), 0n);
  const { memberId: id, currency } = withdrawal;
  return { id, currency, balance: balance.toString() };
}

const taken = 'ledger.withdrawal_taken';
const paid = 'ledger.withdrawal_paid';
const givenBack = 'ledger.withdrawal_given_back';

const commonOf = ({ taskId, withdrawal }: WithdrawalState) => ({
  withdrawal_id: taskId,
  amount_minor: withdrawal.amountMinor.toString(),
  currency: withdrawal.currency,
});

function ofBalance(state: WithdrawalState, entries: readonly Entry[]): Row[] {
  if (state.withdrawal.funding !== null) return [];
  return entries.flatMap(({ kind, atMs }) => {
    if (kind !== 'withdrawal_accepted' && kind !== 'failed') return [];
    const topic = kind === 'failed' ? givenBack : taken;
    const body = { ...commonOf(state), settled_at: new Date(atMs).toISOString() };
    return [message(topic, state.taskId, body, atMs)];
  });
}

const topics: Partial<Record<Operation, string>> = {
  debit: taken,
  payout: paid,
  restore: givenBack,
};

/** Told once an order, when it is first heard to have succeeded, whatever becomes of the withdrawal. */
function ofOrders(
  state: WithdrawalState,
  before: WithdrawalState | null,
  entries: readonly Entry[],
): Row[] {
  return firstSuccesses(before, entries).flatMap(({ attemptNo, atMs }) =>
    movedBy(state, attemptNo, `${state.taskId}/${attemptNo}`, atMs),
  );
}

/** The channel paid it again by itself; each time is a message of its own. */
function paidAgain(state: WithdrawalState, entries: readonly Entry[]): Row[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'captured_again') return [];
    const { attemptNo, captures, atMs } = entry;
    return movedBy(state, attemptNo, `${state.taskId}/${attemptNo}.${captures}`, atMs);
  });
}

function movedBy(state: WithdrawalState, attemptNo: number, key: string, atMs: number): Row[] {
  const order = state.attempts[attemptNo - 1]?.order;
  const topic = order && topics[operationOf(order)];
  if (order === undefined || topic === undefined) return [];
  const body = {
    ...commonOf(state),
    attempt_no: attemptNo,
    channel_id: order.channelId,
    order_no: order.orderNo,
    settled_at: new Date(atMs).toISOString(),
  };
  return [message(topic, key, body, atMs)];
}
