/**
 * The refund flow: money that was captured goes back, through the channel that captured it.
 *
 *   refund_accepted ─ refund_intended ─ replied ┬ succeeded ──────────────────── settled
 *                          ▲                    ├ declined, final ────────────── failed + case
 *                          └── after a pause ───┼ declined, other channel │ not_executed
 *                                               │        └ tried too often ───── failed + case
 *                                               └ pending │ unknown: as for a charge (orders.ts)
 *
 * There is no other channel to go to: an order that provably was not executed is placed again there,
 * later, under a new number. A refund that fails leaves money that is owed back, so it ends with a
 * case. How much of a capture may be given back is held by a CHECK on the attempt that captured it.
 */
import { invariant } from '../assert.js';
import { orderNo } from '../ids.js';
import { isLive } from './attempt.js';
import type { Entry, Refund } from './entries.js';
import type { Flow, Step } from './flow.js';
import type { Order } from './order.js';
import { openSuspicion, receive, settle, settleOutcome, tidyUp } from './orders.js';
import { adopted, evolveIntent, evolveOrders, noOrders, type OrdersState } from './orders-state.js';

export interface RefundState extends OrdersState {
  readonly kind: 'refund';
  readonly refund: Refund;
  readonly acceptedAtMs: number;
}

const minuteMs = 60_000;
/** Before a new order after one that was not executed: a channel that is down is down for a while. */
const pausesMs = [1, 5, 15, 60, 180, 720, 1_440].map((minutes) => minutes * minuteMs);

export const refundFlow: Flow<RefundState> = {
  evolve,
  next,
  receive,
  lockKey: ({ refund }) => `capture:${refund.captureOrderNo}`,
};

function next(state: RefundState, nowMs: number): Step {
  const [suspicion] = state.suspicions;
  if (suspicion !== undefined) return openSuspicion(state, suspicion, nowMs);
  const late = adopted(state);
  if (late !== undefined) return settle(late, nowMs, true);
  if (state.end !== null) return tidyUp(state, nowMs);

  const live = state.attempts.find(isLive);
  if (live !== undefined) return settleOutcome(state, live, nowMs);

  const done = state.attempts.find((attempt) => attempt.status === 'succeeded');
  if (done !== undefined) return settle(done, nowMs);

  return startAttempt(state, nowMs);
}

function startAttempt(state: RefundState, nowMs: number): Step {
  const last = state.attempts.at(-1);
  if (last === undefined) return place(state, nowMs);
  if (last.decline?.scope === 'final') {
    return giveUp(state, last.decline.code, last.decline.message, nowMs);
  }
  const pauseMs = pausesMs[last.no - 1];
  if (pauseMs === undefined) {
    const why = last.decline?.message ?? 'no order was executed';
    return giveUp(state, 'channel_unavailable', why, nowMs);
  }
  const againMs = (last.endedAtMs ?? nowMs) + pauseMs;
  return nowMs < againMs ? { kind: 'wait', untilMs: againMs } : place(state, nowMs);
}

function giveUp(state: RefundState, code: string, detail: string, atMs: number): Step {
  const about = { caseNo: state.cases.length + 1, attemptNo: state.attempts.length };
  const evidence = `not given back: ${code}: ${detail}`;
  return {
    kind: 'record',
    entries: [
      { kind: 'failed', atMs, code, detail },
      { kind: 'case_opened', atMs, ...about, reason: 'refund_failed', evidence },
    ],
  };
}

function place({ refund, attempts }: RefundState, nowMs: number): Step {
  const attemptNo = attempts.length + 1;
  const order: Order = {
    orderNo: orderNo(refund.id, attemptNo),
    operation: 'refund',
    refundOf: { orderNo: refund.captureOrderNo, channelRef: refund.channelRef },
    channelId: refund.channelId,
    amountMinor: refund.amountMinor,
    currency: refund.currency,
    account: refund.account,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + refund.orderTtlMs,
  };
  const { nature } = refund;
  const intent: Entry = { kind: 'refund_intended', atMs: nowMs, attemptNo, order, nature };
  return { kind: 'refund', intent, attemptNo, order };
}

function evolve(state: RefundState | null, entry: Entry): RefundState {
  if (state === null) {
    invariant(entry.kind === 'refund_accepted', `a refund does not start with ${entry.kind}`);
    const { refund, atMs: acceptedAtMs } = entry;
    return { ...noOrders, kind: 'refund', taskId: refund.id, seq: 1, refund, acceptedAtMs };
  }
  const moved = { ...state, seq: state.seq + 1 };
  switch (entry.kind) {
    case 'accepted':
    case 'refund_accepted':
    case 'routed':
    case 'charge_intended':
      throw new Error(`invariant broken: ${entry.kind} in the log of ${state.taskId}`);
    case 'refund_intended':
      return evolveIntent(moved, entry);
    default:
      return evolveOrders(moved, entry);
  }
}
