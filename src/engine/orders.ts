/**
 * What every task that places orders does with an order whose outcome is not known, and with what
 * is said of its orders from outside: a callback, a statement, a decision about a case.
 */
import { assertNever, invariant } from '../assert.js';
import { isLive, proofOfDeath, type Attempt } from './attempt.js';
import type { Entry } from './entries.js';
import type { Evidence, Step } from './flow.js';
import {
  doneLike,
  hasCase,
  isNews,
  openCase,
  type OrdersState,
  type Suspicion,
} from './orders-state.js';
import type { QueryAnswer } from './reply.js';

/** What the log shows and a person should see becomes a case. */
export function openSuspicion(state: OrdersState, suspicion: Suspicion, nowMs: number): Step {
  const opened = { kind: 'case_opened', atMs: nowMs, caseNo: state.cases.length + 1 } as const;
  return { kind: 'record', entries: [{ ...opened, ...suspicion }] };
}

/**
 * What is wanted of an order: `either` definite outcome; that it is `done`, as long as that takes, so it
 * is not closed; or that it is `dead`, since nobody wants it any more, so it is closed even where the
 * channel knows it, and not sent again.
 */
export type Aim = 'either' | 'done' | 'dead';

export interface Bringing {
  readonly aim?: Aim;
  /** What settles the task should this order stay unknown. */
  readonly captured?: Attempt | undefined;
  /** When the aim changes: no wait is longer, and nobody is called before. */
  readonly aimChangesAtMs?: number;
}

/** An attempt is live: bring it to a definite outcome, or before a person. */
export function settleOutcome(
  state: OrdersState,
  live: Attempt,
  nowMs: number,
  { aim = 'either', captured, aimChangesAtMs = -Infinity }: Bringing = {},
): Step {
  // The executor takes an open call over before it asks what comes next.
  invariant(state.openCall === null, 'an open call was not taken over');
  const { nature, order, no: attemptNo } = live;
  const done = doneLike(state, order);

  const proof = proofOfDeath(live);
  if (proof !== null) {
    return { kind: 'record', entries: [{ kind: 'not_executed', atMs: nowMs, attemptNo, proof }] };
  }
  const closes = nature.closeProof === 'refuses_unseen';
  if (closes && aim === 'dead' && live.asks > live.closedAtAsk) return close(live, nowMs);
  if (live.notFoundSentAtMs !== null && !live.seen) {
    if (closes && aim !== 'done') return close(live, nowMs);
    // Nothing more is sent once the money is known to have moved through another attempt.
    const mayExecute = aim !== 'dead' && (!nature.honoursExpiry || nowMs < order.expiresAtMs);
    if (nature.idempotent && mayExecute && done === undefined) {
      const intent: Entry = { kind: 'resend_intended', atMs: nowMs, attemptNo };
      return { kind: order.operation ?? 'charge', intent, attemptNo, order };
    }
  }
  const changes = nowMs < aimChangesAtMs && aimChangesAtMs < Infinity;
  const nextAskMs = live.nextAskMs ?? (changes ? aimChangesAtMs : null);
  if (nextAskMs !== null) {
    const untilMs = changes ? Math.min(nextAskMs, aimChangesAtMs) : nextAskMs;
    return nowMs < nextAskMs ? { kind: 'wait', untilMs } : { kind: 'query', attemptNo, order };
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

function close({ no: attemptNo, order }: Attempt, atMs: number): Step {
  const intent: Entry = { kind: 'close_intended', atMs, attemptNo };
  return { kind: 'close', intent, attemptNo, order };
}

/** @param afterFailure the task had failed without this capture, and a decision adopts it. */
export function settle(captured: Attempt, nowMs: number, afterFailure = false): Step {
  const { orderNo: order, channelId, amountMinor } = captured.order;
  const settled: Entry = {
    kind: 'settled',
    atMs: nowMs,
    attemptNo: captured.no,
    channelId,
    orderNo: order,
    amountMinor,
    ...(afterFailure && { afterFailure }),
  };
  return { kind: 'record', entries: [settled] };
}

export function fail(code: string, detail: string, nowMs: number): Step {
  return { kind: 'record', entries: [{ kind: 'failed', atMs: nowMs, code, detail }] };
}

/** The task has ended; what is left is to close the cases that a definite answer settled. */
export function tidyUp(state: OrdersState, nowMs: number): Step {
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

/** What a message from outside adds to the log of a task that places orders. */
export function receive(state: OrdersState, evidence: Evidence, nowMs: number): readonly Entry[] {
  switch (evidence.kind) {
    case 'ask':
      return askAgain(state, evidence, nowMs);
    case 'decision':
      return decide(state, evidence, nowMs);
    case 'callback':
    case 'statement':
      return hear(state, evidence, nowMs);
    default:
      return assertNever(evidence);
  }
}

function askAgain(
  state: OrdersState,
  { by, once }: Omit<Extract<Evidence, { kind: 'ask' }>, 'kind'>,
  nowMs: number,
): readonly Entry[] {
  const live = state.attempts.find(isLive);
  if (live === undefined || state.openCall !== null) return [];
  const asked = { kind: 'ask_requested', atMs: nowMs, attemptNo: live.no, by } as const;
  return [{ ...asked, ...(once && { once }) }];
}

/** Verified words of a channel, read against our order; empty when they say nothing new. */
function hear(
  state: OrdersState,
  evidence: Extract<Evidence, { kind: 'callback' | 'statement' }>,
  nowMs: number,
): readonly Entry[] {
  const attempt = state.attempts.find((one) => one.order.orderNo === evidence.orderNo);
  if (attempt === undefined) return [];
  const { no: attemptNo } = attempt;
  const answer = evidence.read(attempt.order);
  const says: Record<typeof answer.kind, boolean> = {
    succeeded: attempt.status !== 'succeeded',
    declined:
      isLive(attempt) ||
      (attempt.status === 'succeeded' && !hasCase(state, 'contradiction', attemptNo)),
    pending: isLive(attempt) && attempt.status !== 'pending',
    mismatch: answer.kind === 'mismatch' && isNews(state, attemptNo, answer),
    // These say nothing that polling would not find out.
    unknown: false,
    not_found: false,
    not_executed: false,
  };
  const again = capturedAgain(attempt, evidence, answer, nowMs);
  if (!says[answer.kind]) return again;
  const via = evidence.kind;
  const source = evidence.kind === 'statement' ? { source: evidence.source } : {};
  const said = { kind: 'replied', atMs: nowMs, attemptNo, via, answer, sentAtMs: nowMs } as const;
  return [{ ...said, ...source }, ...again];
}

/** An entry for each time that a statement lists the capture and we had not counted. */
function capturedAgain(
  { no: attemptNo, captures }: Attempt,
  evidence: Evidence,
  answer: QueryAnswer,
  atMs: number,
): readonly Entry[] {
  if (evidence.kind !== 'statement' || answer.kind !== 'succeeded') return [];
  const { source, captures: listed = 1 } = evidence;
  return Array.from({ length: Math.max(0, listed - captures) }, (_, at) => ({
    kind: 'captured_again' as const,
    atMs,
    attemptNo,
    captures: captures + at + 1,
    source,
  }));
}

/** Two people have decided about a case. Where their decision does not fit (any more): nothing. */
function decide(
  state: OrdersState,
  evidence: Extract<Evidence, { kind: 'decision' }>,
  atMs: number,
): readonly Entry[] {
  const { caseNo, decision, by, approvedBy } = evidence;
  const about = state.cases.find((one) => one.no === caseNo && one.closed === null);
  const attempt = state.attempts.find((one) => one.no === about?.attemptNo);
  if (about === undefined || attempt === undefined || state.openCall !== null) return [];
  if (decision.action === 'ask_again') {
    const who = `${by}, ${approvedBy}`;
    if (about.reason !== 'undo_failed') return askAgain(state, { by: who }, atMs);
    // Nothing is open: another order is tried.
    return [{ kind: 'case_closed', atMs, caseNo, resolution: `tried again (${who})` }];
  }
  const { no: attemptNo } = attempt;
  const decided = { kind: 'decided', atMs, caseNo, attemptNo, decision, by, approvedBy } as const;
  switch (decision.action) {
    case 'adopt_captured': {
      if (isLive(attempt)) {
        const answer = { kind: 'succeeded', channelRef: decision.channelRef } as const;
        const told = { kind: 'replied', atMs, attemptNo, via: 'decision', answer } as const;
        return [decided, { ...told, sentAtMs: atMs }];
      }
      // A capture that came after the task had failed is credited after all.
      const late = state.end?.kind === 'failed' && attempt.excessSeq !== null;
      return late ? [decided] : [];
    }
    case 'mark_not_executed':
      return isLive(attempt)
        ? [decided, { kind: 'not_executed', atMs, attemptNo, proof: 'decided' }]
        : [];
    case 'restore':
      // For the flow that knows what it has taken (late-debit.ts).
      return [];
    case 'refund':
    case 'write_off':
      // While the outcome is open there is nothing to give back and nothing to write off.
      return isLive(attempt) ? [] : [decided];
    default:
      return assertNever(decision);
  }
}
