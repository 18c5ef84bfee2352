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
  const memberEntries = entriesOf(state, entries);
  return {
    ...nothing,
    withdrawalInsert: before === null ? { ...facts(state), ...withdrawalRow(state) } : null,
    withdrawalUpdate: before === null ? null : withdrawalRow(state),
    memberEntries,
    memberDelta: deltaOf(state, memberEntries),
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
