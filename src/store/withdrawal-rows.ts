import type { Entry } from '../engine/entries.js';
import { statusOf } from '../engine/orders-state.js';
import type { WithdrawalState } from '../engine/withdrawal.js';
import { sqlTime, sqlTimeOrNull } from './database.js';
import { nothing, type KindRows, type Row } from './rows.js';

/** How a withdrawal's log shows in its own table, in the member's balance and in the money log. */
export function withdrawalRows(
  state: WithdrawalState,
  before: WithdrawalState | null,
  entries: readonly Entry[],
): KindRows {
  const moved = entryOf(state, before, entries);
  return {
    ...nothing,
    withdrawalInsert: before === null ? { ...facts(state), ...withdrawalRow(state) } : null,
    withdrawalUpdate: before === null ? null : withdrawalRow(state),
    memberEntry: moved,
    memberDelta: moved && {
      id: moved['member_id'] ?? null,
      currency: moved['currency'] ?? null,
      balance: moved['amount_minor'] ?? null,
    },
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
  return {
    id: state.taskId,
    status: statusOf(state),
    failure_code: end?.kind === 'failed' ? end.code : null,
    failure_detail: end?.kind === 'failed' ? end.detail.slice(0, 500) : null,
    channel_id: paid?.order.channelId ?? null,
    order_no: paid?.order.orderNo ?? null,
    attempts: state.attempts.length,
    ended_at: sqlTimeOrNull(end?.atMs ?? null),
  };
}

/** Taken of the member's balance, minor units: from acceptance on, and no more once it has failed. */
const takenBy = (state: WithdrawalState | null): bigint =>
  state === null || state.withdrawal.funding !== null || state.end?.kind === 'failed'
    ? 0n
    : state.withdrawal.amountMinor;

function entryOf(
  state: WithdrawalState,
  before: WithdrawalState | null,
  entries: readonly Entry[],
): Row | null {
  const amount = takenBy(before) - takenBy(state);
  if (amount === 0n) return null;
  return {
    cause_id: state.taskId,
    kind: amount < 0n ? 'withdrawn' : 'given_back',
    member_id: state.withdrawal.memberId,
    currency: state.withdrawal.currency,
    amount_minor: amount.toString(),
    at: sqlTime(entries.at(-1)?.atMs ?? state.acceptedAtMs),
  };
}
