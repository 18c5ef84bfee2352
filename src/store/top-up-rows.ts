import { isDead } from '../engine/attempt.js';
import type { Entry } from '../engine/entries.js';
import { legOf } from '../engine/legs.js';
import { operationOf, type Operation } from '../engine/order.js';
import { doneIn } from '../engine/orders-state.js';
import { paymentOf, settleAtMs, stageOf, type TopUpState } from '../engine/top-up.js';
import { sqlTime, sqlTimeOrNull } from './database.js';
import { firstSuccesses, message, nothing, standingOf, type KindRows, type Row } from './rows.js';

/** How a top-up's log shows in its own table, and on the payment that it may use once. */
export function topUpRows(
  state: TopUpState,
  before: TopUpState | null,
  entries: readonly Entry[],
): KindRows {
  return {
    ...nothing,
    topUpInsert: before === null ? { ...facts(state), ...topUpRow(state) } : null,
    topUpUpdate: before === null ? null : topUpRow(state),
    captureDelta: captureDelta(state, before),
    outbox: messages(state, before, entries),
  };
}

function facts({ topUp, acceptedAtMs }: TopUpState): Row {
  return {
    customer_id: topUp.customerId,
    amount_minor: topUp.amountMinor.toString(),
    credit_minor: topUp.creditMinor.toString(),
    rule: topUp.rule,
    currency: topUp.currency,
    cards: topUp.cards.channelId,
    card_last4: topUp.card.last4,
    bank_code: topUp.payer.bankCode,
    payer_last4: topUp.payer.last4,
    request_key: topUp.requestKey,
    request_digest: topUp.requestDigest,
    created_at: sqlTime(acceptedAtMs),
  };
}

export function topUpRow(state: TopUpState): Row {
  const { end } = state;
  const paid = paymentOf(state);
  const unknown = legOf(state, 'credit').find((one) => one.unknownWhy !== null);
  return Object.assign(standingOf(state), {
    stage: stageOf(state),
    channel_id: paid?.order.channelId ?? null,
    order_no: paid?.order.orderNo ?? null,
    paid_at: sqlTimeOrNull(state.paid?.atMs ?? null),
    settle_at: sqlTimeOrNull(settleAtMs(state)),
    credit_unknown_since: sqlTimeOrNull(unknown?.order.createdAtMs ?? null),
    credited_at: sqlTimeOrNull(doneIn(state, 'credit')?.endedAtMs ?? null),
    // A refund that turns up after the card was credited for good is a case, and no way of ending it.
    refunded_at:
      end?.kind === 'succeeded' ? null : sqlTimeOrNull(doneIn(state, 'refund')?.endedAtMs ?? null),
  });
}

interface Held {
  readonly attemptNo: number;
  readonly credited: bigint;
  readonly refund: bigint;
}

/**
 * What of the payment is used: for a credit that stands or may stand, for a refund that was made or may
 * be. The CHECK on the attempt so refuses the second use, whatever the flow came to think. A credit that
 * turns up after the refund had begun is not held: it is a case.
 */
function heldOf(state: TopUpState | null): Held | null {
  const paid = state === null ? undefined : paymentOf(state);
  if (state === null || paid === undefined) return null;
  const { refundSeq } = state;
  const refunds = legOf(state, 'refund');
  const credited = legOf(state, 'credit').some(
    (one) =>
      !isDead(one) &&
      (one.status !== 'succeeded' || refundSeq === null || (one.succeededSeq ?? 0) < refundSeq),
  );
  const { amountMinor } = state.topUp;
  return {
    attemptNo: paid.no,
    credited: credited ? amountMinor : 0n,
    refund: refunds.some((one) => !isDead(one)) ? amountMinor : 0n,
  };
}

function captureDelta(state: TopUpState, before: TopUpState | null): Row | null {
  const held = heldOf(state);
  if (held === null) return null;
  const was = heldOf(before);
  const credited = held.credited - (was?.credited ?? 0n);
  const refund = held.refund - (was?.refund ?? 0n);
  if (credited === 0n && refund === 0n) return null;
  return {
    task_id: state.taskId,
    attempt_no: held.attemptNo,
    credited: credited.toString(),
    refund: refund.toString(),
  };
}

const topics: Partial<Record<Operation, string>> = {
  charge: 'ledger.top_up_paid',
  credit: 'ledger.top_up_credited',
  refund: 'ledger.top_up_refunded',
};

/** Told once an order, when it is first heard to have succeeded, whatever becomes of the top-up. */
function messages(state: TopUpState, before: TopUpState | null, entries: readonly Entry[]): Row[] {
  const first = firstSuccesses(before, entries).flatMap(({ attemptNo, atMs }) =>
    moved(state, attemptNo, `${state.taskId}/${attemptNo}`, atMs),
  );
  return [...first, ...movedAgain(state, entries)];
}

/** The channel did it again by itself; each time is a message of its own. */
function movedAgain(state: TopUpState, entries: readonly Entry[]): Row[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== 'captured_again') return [];
    const { attemptNo, captures, atMs } = entry;
    return moved(state, attemptNo, `${state.taskId}/${attemptNo}.${captures}`, atMs);
  });
}

function moved(
  { taskId, topUp, attempts }: TopUpState,
  attemptNo: number,
  key: string,
  atMs: number,
): Row[] {
  const order = attempts[attemptNo - 1]?.order;
  const topic = order && topics[operationOf(order)];
  if (order === undefined || topic === undefined) return [];
  const body = {
    top_up_id: taskId,
    attempt_no: attemptNo,
    amount_minor: order.amountMinor.toString(),
    ...(order.topUp && { credit_minor: order.topUp.creditMinor.toString() }),
    currency: topUp.currency,
    channel_id: order.channelId,
    order_no: order.orderNo,
    settled_at: new Date(atMs).toISOString(),
  };
  return [message(topic, key, body, atMs)];
}
