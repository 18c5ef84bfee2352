/**
 * The deduction flow. A deduction lives as follows; every arrow is an entry of its log.
 *
 *   accepted ─ routed ─ charge_intended ─ replied ┬ succeeded ──────────────────────── settled
 *                 ▲            ▲                  ├ declined, final ────────────────── failed
 *                 │            └──── next place ──┼ declined, other channel │ not_executed
 *                 └──── the route is old ─────────┘        └ no place left ─────────── failed
 *                                                 └ pending │ unknown: ask on the poll schedule
 *                                                     ├ a definite answer: as above
 *                                                     ├ not found: prove it dead, or send it again
 *                                                     └ schedule used up: case_opened, a person decides
 *
 * Only a definite answer leaves a channel (rule 4). An attempt without one is asked about, never
 * resent blindly (rule 3), and is dead only by proof (rules 2 and 8). After a crash the log says
 * where it was: an intent without an answer is taken over and asked about, like any unknown outcome.
 * What the entries add up to is in deduction-state.ts (`evolve`); this file says what comes next.
 */
import { invariant } from '../assert.js';
import { orderNo } from '../ids.js';
import { isLive, proofOfDeath, type Attempt } from './attempt.js';
import { evolve, hasCase, openCase, type DeductionState } from './deduction-state.js';
import type { Entry } from './entries.js';
import type { Evidence, Flow, Step } from './flow.js';
import type { Order } from './order.js';
import type { RoutePlace } from './route.js';

export type { Case, DeductionState, DeductionStatus } from './deduction-state.js';

/** A route older than this is planned anew before the next attempt: channels come and go. */
const routeTtlMs = 60_000;

export const deductionFlow: Flow<DeductionState> = {
  kind: 'deduction',
  evolve,
  next,
  receive,
  lockKey: (state) => `repayment:${state.deduction.repaymentId}`,
};

function next(state: DeductionState, nowMs: number): Step {
  const [suspicion] = state.suspicions;
  if (suspicion !== undefined) {
    const opened = { kind: 'case_opened', atMs: nowMs, caseNo: state.cases.length + 1 } as const;
    return { kind: 'record', entries: [{ ...opened, ...suspicion }] };
  }
  if (state.end !== null) return tidyUp(state, nowMs);

  const live = state.attempts.find(isLive);
  if (live !== undefined) return settleOutcome(state, live, nowMs);

  const captured = state.attempts.find((attempt) => attempt.status === 'succeeded');
  if (captured !== undefined) return settle(captured, nowMs);

  return startAttempt(state, nowMs);
}

/** No attempt is live and none was captured: the next place of the route, or the end. */
function startAttempt(state: DeductionState, nowMs: number): Step {
  const last = state.attempts.at(-1);
  if (last?.decline?.scope === 'final') {
    return fail(last.decline.code, last.decline.message, nowMs);
  }
  if (nowMs >= state.deduction.attemptUntilMs) {
    return fail('deadline_passed', 'no new attempt starts this long after the request', nowMs);
  }
  const { deduction, route } = state;
  const tried = state.attempts.map((attempt) => attempt.order.channelId);
  const places = route?.plan.places.filter((place) => !tried.includes(place.channelId)) ?? [];
  const stale = route === null || (places.length > 0 && nowMs - route.atMs > routeTtlMs);
  if (stale) {
    return {
      kind: 'route',
      request: {
        taskId: deduction.id,
        bankCode: deduction.account.bankCode,
        amountMinor: deduction.amountMinor,
        currency: deduction.currency,
        exclude: tried,
      },
    };
  }
  const place = places[0];
  if (place === undefined) {
    const [code, detail] =
      last === undefined
        ? ['no_eligible_channel', 'no channel can take this deduction']
        : ['channels_exhausted', last.decline?.message ?? 'no channel executed the order'];
    return fail(code, detail, nowMs);
  }
  return charge(state, place, nowMs);
}

function charge(state: DeductionState, place: RoutePlace, nowMs: number): Step {
  const { deduction } = state;
  const attemptNo = state.attempts.length + 1;
  const order: Order = {
    orderNo: orderNo(deduction.id, attemptNo),
    channelId: place.channelId,
    amountMinor: deduction.amountMinor,
    currency: deduction.currency,
    account: deduction.account,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + place.orderTtlMs,
  };
  const intent: Entry = {
    kind: 'charge_intended',
    atMs: nowMs,
    attemptNo,
    order,
    nature: place.nature,
  };
  return { kind: 'charge', intent, attemptNo, order };
}

/** An attempt is live: bring it to a definite outcome, or before a person. */
function settleOutcome(state: DeductionState, live: Attempt, nowMs: number): Step {
  // The executor takes an open call over before it asks what comes next.
  invariant(state.openCall === null, 'an open call was not taken over');
  const { nature, order, no: attemptNo } = live;
  const captured = state.attempts.find((attempt) => attempt.status === 'succeeded');

  const proof = proofOfDeath(live);
  if (proof !== null) {
    return { kind: 'record', entries: [{ kind: 'not_executed', atMs: nowMs, attemptNo, proof }] };
  }
  if (live.notFoundSentAtMs !== null && !live.seen) {
    if (nature.closeProof === 'refuses_unseen') {
      const intent: Entry = { kind: 'close_intended', atMs: nowMs, attemptNo };
      return { kind: 'close', intent, attemptNo, order };
    }
    // Nothing more is sent once the money is known to have moved through another attempt.
    const mayExecute = !nature.honoursExpiry || nowMs < order.expiresAtMs;
    if (nature.idempotent && mayExecute && captured === undefined) {
      const intent: Entry = { kind: 'resend_intended', atMs: nowMs, attemptNo };
      return { kind: 'charge', intent, attemptNo, order };
    }
  }
  if (live.nextAskMs !== null) {
    return nowMs < live.nextAskMs
      ? { kind: 'wait', untilMs: live.nextAskMs }
      : { kind: 'query', attemptNo, order };
  }
  if (openCase(state, 'outcome_unknown', attemptNo)) {
    // What was captured is credited all the same; the case about the other attempt stays open.
    return captured === undefined ? { kind: 'stop', reason: 'review' } : settle(captured, nowMs);
  }
  const evidence = `asked ${live.asks} times, last known as ${live.status}; no definite answer`;
  const opened = { kind: 'case_opened', atMs: nowMs, caseNo: state.cases.length + 1 } as const;
  return {
    kind: 'record',
    entries: [{ ...opened, reason: 'outcome_unknown', attemptNo, evidence }],
  };
}

function settle(captured: Attempt, nowMs: number): Step {
  const { orderNo: order, channelId, amountMinor } = captured.order;
  const settled: Entry = {
    kind: 'settled',
    atMs: nowMs,
    attemptNo: captured.no,
    channelId,
    orderNo: order,
    amountMinor,
  };
  return { kind: 'record', entries: [settled] };
}

function fail(code: string, detail: string, nowMs: number): Step {
  return { kind: 'record', entries: [{ kind: 'failed', atMs: nowMs, code, detail }] };
}

/** The deduction has ended; what is left is to close the cases that a definite answer settled. */
function tidyUp(state: DeductionState, nowMs: number): Step {
  const live = state.attempts.find(isLive);
  const resolution = 'the outcome is known';
  const [first, ...others] = state.cases
    .filter(({ closed, reason }) => closed === null && reason === 'outcome_unknown')
    .filter(({ attemptNo }) => attemptNo !== live?.no)
    .map(({ no: caseNo }): Entry => ({ kind: 'case_closed', atMs: nowMs, caseNo, resolution }));
  if (first !== undefined) return { kind: 'record', entries: [first, ...others] };
  // Another attempt was captured, this one is a person's case, and the person wants it asked again.
  const asked = live !== undefined && live.nextAskMs !== null;
  return asked ? settleOutcome(state, live, nowMs) : { kind: 'stop', reason: 'ended' };
}

function receive(state: DeductionState, evidence: Evidence, nowMs: number): readonly Entry[] {
  if (evidence.kind === 'ask') {
    const live = state.attempts.find(isLive);
    if (live === undefined || state.openCall !== null) return [];
    return [{ kind: 'ask_requested', atMs: nowMs, attemptNo: live.no, by: evidence.by }];
  }
  const attempt = state.attempts.find((one) => one.order.orderNo === evidence.orderNo);
  if (attempt === undefined) return [];
  const answer = evidence.read(attempt.order);
  const says: Record<typeof answer.kind, boolean> = {
    succeeded: attempt.status !== 'succeeded',
    declined:
      isLive(attempt) ||
      (attempt.status === 'succeeded' && !hasCase(state, 'contradiction', attempt.no)),
    pending: isLive(attempt) && attempt.status !== 'pending',
    mismatch: !hasCase(state, 'mismatch', attempt.no),
    // These say nothing that polling would not find out.
    unknown: false,
    not_found: false,
    not_executed: false,
  };
  if (!says[answer.kind]) return [];
  return [
    {
      kind: 'replied',
      atMs: nowMs,
      attemptNo: attempt.no,
      via: 'callback',
      answer,
      sentAtMs: nowMs,
    },
  ];
}
