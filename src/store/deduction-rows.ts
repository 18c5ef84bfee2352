import type { DeductionState } from '../engine/deduction.js';
import type { Attempt } from '../engine/attempt.js';
import type { Deduction, Entry } from '../engine/entries.js';
import { sqlTime } from './database.js';
import { message, nothing, standingOf, type KindRows, type Row } from './rows.js';

/** How a deduction's log shows in its own table, its repayment and the messages to the ledger. */
export function deductionRows(
  state: DeductionState,
  entries: readonly Entry[],
  afterSeq: number,
): KindRows {
  const first = afterSeq === 0;
  const moved = !first && entries.some((entry) => movesDeduction(entry, state));
  return {
    ...nothing,
    deductionInsert: first ? Object.assign(deductionFacts(state), deductionRow(state)) : null,
    deductionUpdate: moved ? deductionRow(state) : null,
    repaymentDelta: repaymentDelta(state, entries),
    outbox: [
      ...collected(state, entries),
      ...lateCaptures(state, entries, afterSeq),
      ...capturesAgain(state, entries),
    ],
  };
}

/** A poll that learns nothing new leaves the deduction's row alone, but what ends a review moves it. */
const movesDeduction = ({ kind }: Entry, { cases }: DeductionState): boolean =>
  kind === 'charge_intended' ||
  kind === 'settled' ||
  kind === 'failed' ||
  kind === 'case_opened' ||
  kind === 'case_closed' ||
  kind === 'decided' ||
  (cases.length > 0 && (kind === 'replied' || kind === 'not_executed'));

function deductionFacts({ deduction, acceptedAtMs }: DeductionState): Row {
  return {
    repayment_id: deduction.repaymentId,
    borrower_id: deduction.borrowerId,
    amount_minor: deduction.amountMinor.toString(),
    currency: deduction.currency,
    bank_code: deduction.account.bankCode,
    account_last4: deduction.account.last4,
    source: deduction.source,
    batch_id: deduction.batchId,
    agent_name: deduction.agent?.name ?? null,
    agent_reason: deduction.agent?.reason ?? null,
    request_key: deduction.requestKey,
    request_digest: deduction.requestDigest,
    created_at: sqlTime(acceptedAtMs),
  };
}

export function deductionRow(state: DeductionState): Row {
  const { end } = state;
  const captured = end?.kind === 'succeeded' ? state.attempts[end.attemptNo - 1] : undefined;
  return Object.assign(standingOf(state), {
    channel_id: captured?.order.channelId ?? null,
    order_no: captured?.order.orderNo ?? null,
  });
}

/** What a deduction may still take is reserved at acceptance, and paid or set free at its end. */
function repaymentDelta({ deduction }: DeductionState, entries: readonly Entry[]): Row | null {
  let paid = 0n;
  let collecting = 0n;
  for (const entry of entries) {
    if (entry.kind === 'accepted') collecting += deduction.amountMinor;
    if (entry.kind === 'failed') collecting -= deduction.amountMinor;
    if (entry.kind === 'settled') {
      paid += entry.amountMinor;
      if (entry.afterFailure !== true) collecting -= deduction.amountMinor;
    }
  }
  if (paid === 0n && collecting === 0n) return null;
  return { id: deduction.repaymentId, paid: paid.toString(), collecting: collecting.toString() };
}

/** The ledger's message leaves with the settlement's commit, or not at all. */
function collected({ deduction }: DeductionState, entries: readonly Entry[]): Row[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'settled') return [];
    const body = {
      deduction_id: deduction.id,
      repayment_id: deduction.repaymentId,
      amount_minor: entry.amountMinor.toString(),
      currency: deduction.currency,
      channel_id: entry.channelId,
      order_no: entry.orderNo,
      settled_at: new Date(entry.atMs).toISOString(),
      // The capture was in the books already, as money owed back (ledger.late_capture).
      ...(entry.afterFailure === true && { was_owed_back: true }),
    };
    return [message('ledger.repayment_collected', deduction.id, body, entry.atMs)];
  });
}

/** Captured, and the task has ended without it: money that is owed back, found by these entries. */
function lateCaptures(
  { deduction, attempts }: DeductionState,
  entries: readonly Entry[],
  afterSeq: number,
): Row[] {
  const found = attempts.filter(({ excessSeq }) => excessSeq !== null && excessSeq > afterSeq);
  return found.map((attempt) => {
    const atMs = entries[(attempt.excessSeq ?? 0) - afterSeq - 1]?.atMs ?? 0;
    return owedBack(deduction, attempt, attempt.order.orderNo, atMs);
  });
}

/** The channel took it again by itself; each time is a message of its own. */
function capturesAgain(
  { deduction, attempts }: DeductionState,
  entries: readonly Entry[],
): readonly Row[] {
  return entries.flatMap((entry) => {
    const attempt = entry.kind === 'captured_again' ? attempts[entry.attemptNo - 1] : undefined;
    if (entry.kind !== 'captured_again' || attempt === undefined) return [];
    const key = `${attempt.order.orderNo}.${entry.captures}`;
    return [owedBack(deduction, attempt, key, entry.atMs)];
  });
}

function owedBack(deduction: Deduction, { no, order }: Attempt, key: string, atMs: number): Row {
  const body = {
    deduction_id: deduction.id,
    repayment_id: deduction.repaymentId,
    attempt_no: no,
    amount_minor: order.amountMinor.toString(),
    currency: order.currency,
    channel_id: order.channelId,
    order_no: order.orderNo,
    found_at: new Date(atMs).toISOString(),
  };
  return message('ledger.late_capture', key, body, atMs);
}
