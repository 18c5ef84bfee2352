/**
 * The refund flow: money that was captured goes back, through the channel that captured it.
 *
 *   …refund_accepted ─ refund_intended ─ replied ┬ succeeded ──────────────────── settled
 *                          ▲                    ├ declined, final ────────────── failed + case
 *                          └── after a pause ───┼ declined, other channel │ not_executed
 *                                               │        └ tried too often ───── failed + case
 *                                               └ pending │ unknown: as for a charge (orders.ts)
 *
 * There is no other channel to go to: an order that provably was not executed is placed again there,
 * later, under a new number. A refund that fails leaves money that is owed back, so it ends with a
 * case. How much of a capture may be given back is held by a CHECK on the attempt that captured it; of
 * a top-up's, which capture is, by a unique key among the refunds.
 */
import { invariant } from '../assert.js';
import { isLive } from './attempt.js';
import type { Entry, EntryOf, Refund } from './entries.js';
import type { Flow, Step } from './flow.js';
import type { TaskId } from '../ids.js';
import { insistOn, placing, type Why } from './legs.js';
import { openSuspicion, receive, settle, settleOutcome, tidyUp } from './orders.js';
import {
  adopted,
  doneIn,
  evolveIntent,
  evolveOrders,
  noOrders,
  type OrdersState,
} from './orders-state.js';

/**
 * A capture of a top-up is given back under an entry of its own kind: a release that knows of deductions
 * alone does not read it, and so does not settle it in the wrong books.
 */
type Acceptance = EntryOf<'refund_accepted' | 'top_up_refund_accepted'>;

export interface RefundState extends OrdersState {
  readonly kind: 'refund';
  readonly refund: Refund;
  readonly acceptedAtMs: number;
}

export const refundFlow: Flow<RefundState> = {
  evolve,
  next,
  receive,
  lockKey: ({ refund }) => `capture:${refund.captureOrderNo}`,
};

/** The task whose capture goes back. */
export const takenBy = (refund: Refund): TaskId =>
  'topUpId' in refund ? refund.topUpId : refund.deductionId;

export const acceptanceOf = (refund: Refund, atMs: number): Acceptance =>
  'topUpId' in refund
    ? { kind: 'top_up_refund_accepted', atMs, refund }
    : { kind: 'refund_accepted', atMs, refund };

export const isAcceptance = (entry: Entry): entry is Acceptance =>
  entry.kind === 'refund_accepted' || entry.kind === 'top_up_refund_accepted';

function next(state: RefundState, nowMs: number): Step {
  const [suspicion] = state.suspicions;
  if (suspicion !== undefined) return openSuspicion(state, suspicion, nowMs);
  const late = adopted(state);
  if (late !== undefined) return settle(late, nowMs, true);
  if (state.end !== null) return tidyUp(state, nowMs);

  const captured = doneIn(state, 'refund');
  const live = state.attempts.find(isLive);
  if (live !== undefined) return settleOutcome(state, live, nowMs, { captured });
  if (captured !== undefined) return settle(captured, nowMs);

  return insistOn(state.attempts, nowMs, {
    place: () => place(state, nowMs),
    giveUp: (why) => giveUp(state, why, nowMs),
  });
}

function giveUp(state: RefundState, { code, detail }: Why, atMs: number): Step {
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

function place(state: RefundState, nowMs: number): Step {
  const { captureOrderNo, channelRef, amountMinor, currency, account } = state.refund;
  const refundOf = { orderNo: captureOrderNo, channelRef };
  const fields = { refundOf, amountMinor, currency, account };
  return placing(state, 'refund', state.refund, fields, nowMs);
}

function evolve(state: RefundState | null, entry: Entry): RefundState {
  if (state === null) {
    invariant(isAcceptance(entry), `a refund does not start with ${entry.kind}`);
    const { refund, atMs: acceptedAtMs } = entry;
    return { kind: 'refund', taskId: refund.id, seq: 1, refund, acceptedAtMs, ...noOrders };
  }
  const moved = { ...state, seq: state.seq + 1 };
  return entry.kind === 'refund_intended' ? evolveIntent(moved, entry) : evolveOrders(moved, entry);
}
