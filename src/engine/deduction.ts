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
 */
import { assertNever, invariant } from '../assert.js';
import { orderNo } from '../ids.js';
import type { CaseReason, Deduction, Entry, EntryOf } from './entries.js';
import type { Evidence, Flow, Step, TaskState } from './flow.js';
import {
  answered,
  dead,
  isDead,
  isLive,
  newAttempt,
  proofOfDeath,
  type Attempt,
} from './attempt.js';
import type { Order } from './order.js';
import type { Route, RoutePlace } from './route.js';

/** A route older than this is planned anew before the next attempt: channels come and go. */
const routeTtlMs = 60_000;

export interface Case {
  readonly no: number;
  readonly reason: CaseReason;
  readonly attemptNo: number;
  readonly evidence: string;
  readonly openedAtMs: number;
  readonly closed: { readonly atMs: number; readonly resolution: string } | null;
}

export interface DeductionState extends TaskState {
  readonly deduction: Deduction;
  readonly acceptedAtMs: number;
  readonly route: { readonly plan: Route; readonly atMs: number } | null;
  readonly attempts: readonly Attempt[];
  readonly cases: readonly Case[];
  /** Seen in the log and not yet laid before a person. */
  readonly suspicion: Omit<EntryOf<'case_opened'>, 'kind' | 'atMs' | 'caseNo'> | null;
  readonly end:
    | { readonly kind: 'succeeded'; readonly atMs: number; readonly attemptNo: number }
    | {
        readonly kind: 'failed';
        readonly atMs: number;
        readonly code: string;
        readonly detail: string;
      }
    | null;
}

export const deductionFlow: Flow<DeductionState> = {
  kind: 'deduction',
  evolve,
  next,
  receive,
  lockKey: (state) => `repayment:${state.deduction.repaymentId}`,
};

export type DeductionStatus = 'processing' | 'needs_review' | 'succeeded' | 'failed';

export function statusOf(state: DeductionState): DeductionStatus {
  if (state.end !== null) return state.end.kind;
  return needsReview(state) ? 'needs_review' : 'processing';
}

/** A person must decide: nothing is left to ask, and the outcome is not known. */
export function needsReview(state: DeductionState): boolean {
  const live = state.attempts.find(isLive);
  return state.end === null && live !== undefined && openCase(state, 'outcome_unknown', live.no);
}

// ------------------------------------------------------------------------------------------ next

function next(state: DeductionState, nowMs: number): Step {
  if (state.suspicion !== null) {
    const opened = { kind: 'case_opened', atMs: nowMs, caseNo: state.cases.length + 1 } as const;
    return { kind: 'record', entries: [{ ...opened, ...state.suspicion }] };
  }
  if (state.end !== null) return { kind: 'stop', reason: 'ended' };

  const live = state.attempts.find(isLive);
  if (live !== undefined) return settleOutcome(state, live, nowMs);

  const captured = state.attempts.find((attempt) => attempt.status === 'succeeded');
  if (captured !== undefined) return settle(state, captured, nowMs);

  return startAttempt(state, nowMs);
}

/** No attempt is live and none was captured: the next place of the route, or the end. */
function startAttempt(state: DeductionState, nowMs: number): Step {
  const last = state.attempts.at(-1);
  if (last?.decline?.scope === 'final') {
    return fail(state, last.decline.code, last.decline.message, nowMs);
  }
  if (nowMs >= state.deduction.attemptUntilMs) {
    return fail(
      state,
      'deadline_passed',
      'no new attempt starts this long after the request',
      nowMs,
    );
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
    return fail(state, code, detail, nowMs);
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

  const proof = proofOfDeath(live);
  if (proof !== null) {
    return { kind: 'record', entries: [{ kind: 'not_executed', atMs: nowMs, attemptNo, proof }] };
  }
  if (live.notFoundSentAtMs !== null && !live.seen) {
    if (nature.closeProof === 'refuses_unseen') {
      const intent: Entry = { kind: 'close_intended', atMs: nowMs, attemptNo };
      return { kind: 'close', intent, attemptNo, order };
    }
    if (nature.idempotent && (!nature.honoursExpiry || nowMs < order.expiresAtMs)) {
      const intent: Entry = { kind: 'resend_intended', atMs: nowMs, attemptNo };
      return { kind: 'charge', intent, attemptNo, order };
    }
  }
  if (live.nextAskMs !== null) {
    return nowMs < live.nextAskMs
      ? { kind: 'wait', untilMs: live.nextAskMs }
      : { kind: 'query', attemptNo, order };
  }
  if (openCase(state, 'outcome_unknown', attemptNo)) return { kind: 'stop', reason: 'review' };
  const evidence = `asked ${live.asks} times, last known as ${live.status}; no definite answer`;
  const opened = { kind: 'case_opened', atMs: nowMs, caseNo: state.cases.length + 1 } as const;
  return {
    kind: 'record',
    entries: [{ ...opened, reason: 'outcome_unknown', attemptNo, evidence }],
  };
}

function settle(state: DeductionState, captured: Attempt, nowMs: number): Step {
  const { orderNo: order, channelId, amountMinor } = captured.order;
  const settled: Entry = {
    kind: 'settled',
    atMs: nowMs,
    attemptNo: captured.no,
    channelId,
    orderNo: order,
    amountMinor,
  };
  return {
    kind: 'record',
    entries: [settled, ...closeAnswered(state, nowMs, 'the channel answered: succeeded')],
  };
}

function fail(state: DeductionState, code: string, detail: string, nowMs: number): Step {
  const failed: Entry = { kind: 'failed', atMs: nowMs, code, detail };
  return {
    kind: 'record',
    entries: [failed, ...closeAnswered(state, nowMs, 'the outcome is known')],
  };
}

/** A definite answer settles the cases that were open for want of one. */
function closeAnswered(state: DeductionState, nowMs: number, resolution: string): Entry[] {
  return state.cases
    .filter((one) => one.closed === null && one.reason === 'outcome_unknown')
    .map((one) => ({ kind: 'case_closed', atMs: nowMs, caseNo: one.no, resolution }));
}

// --------------------------------------------------------------------------------------- receive

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

const hasCase = (state: DeductionState, reason: CaseReason, attemptNo: number): boolean =>
  state.cases.some((one) => one.reason === reason && one.attemptNo === attemptNo);

const openCase = (state: DeductionState, reason: CaseReason, attemptNo: number): boolean =>
  state.cases.some(
    (one) => one.reason === reason && one.attemptNo === attemptNo && one.closed === null,
  );

// ---------------------------------------------------------------------------------------- evolve

function evolve(state: DeductionState | null, entry: Entry): DeductionState {
  if (state === null) {
    invariant(entry.kind === 'accepted', `a log starts with accepted, not ${entry.kind}`);
    return {
      taskId: entry.deduction.id,
      seq: 1,
      openCall: null,
      deduction: entry.deduction,
      acceptedAtMs: entry.atMs,
      route: null,
      attempts: [],
      cases: [],
      suspicion: null,
      end: null,
    };
  }
  const moved = { ...state, seq: state.seq + 1 };
  switch (entry.kind) {
    case 'accepted':
      throw new Error(`invariant broken: ${state.taskId} was accepted twice`);
    case 'routed':
      return { ...moved, route: { plan: entry.route, atMs: entry.atMs } };
    case 'charge_intended':
      return evolveIntent(moved, entry);
    case 'resend_intended':
      return withAttempt(
        { ...moved, openCall: { attemptNo: entry.attemptNo } },
        entry.attemptNo,
        (a) => ({
          ...a,
          sends: a.sends + 1,
          notFoundSentAtMs: null,
        }),
      );
    case 'close_intended':
      return withAttempt(
        { ...moved, openCall: { attemptNo: entry.attemptNo } },
        entry.attemptNo,
        (a) => ({
          ...a,
          notFoundSentAtMs: null,
        }),
      );
    case 'taken_over':
      invariant(state.openCall?.attemptNo === entry.attemptNo, 'only an open call is taken over');
      return withAttempt({ ...moved, openCall: null }, entry.attemptNo, (a) => ({
        ...a,
        status: a.status === 'sending' ? 'unknown' : a.status,
        sends: a.sends + 1,
        unknownWhy: 'taken_over',
        nextAskMs: entry.atMs,
      }));
    case 'replied':
      return evolveReply(moved, entry);
    case 'not_executed':
      return withAttempt(moved, entry.attemptNo, (a) => {
        invariant(isLive(a), 'only a live attempt is proven dead');
        return dead(a, entry.proof, entry.atMs);
      });
    case 'settled':
      invariant(state.end === null, 'settled once');
      return { ...moved, end: { kind: 'succeeded', atMs: entry.atMs, attemptNo: entry.attemptNo } };
    case 'failed':
      invariant(
        state.end === null && !state.attempts.some(isLive),
        'failed only when nothing is live',
      );
      return {
        ...moved,
        end: { kind: 'failed', atMs: entry.atMs, code: entry.code, detail: entry.detail },
      };
    case 'case_opened': {
      const { caseNo: no, reason, attemptNo, evidence, atMs: openedAtMs } = entry;
      const opened: Case = { no, reason, attemptNo, evidence, openedAtMs, closed: null };
      return { ...moved, suspicion: null, cases: [...state.cases, opened] };
    }
    case 'case_closed':
      return {
        ...moved,
        cases: state.cases.map((one) =>
          one.no === entry.caseNo
            ? { ...one, closed: { atMs: entry.atMs, resolution: entry.resolution } }
            : one,
        ),
      };
    case 'ask_requested':
      return withAttempt(moved, entry.attemptNo, (a) => ({ ...a, asks: 0, nextAskMs: entry.atMs }));
    default:
      return assertNever(entry);
  }
}

function evolveIntent(state: DeductionState, entry: EntryOf<'charge_intended'>): DeductionState {
  invariant(entry.attemptNo === state.attempts.length + 1, 'attempts are numbered without a gap');
  invariant(state.attempts.every(isDead), 'one live attempt a task, and none after a capture');
  const attempt = newAttempt(entry);
  return { ...state, attempts: [...state.attempts, attempt], openCall: { attemptNo: attempt.no } };
}

function evolveReply(state: DeductionState, entry: EntryOf<'replied'>): DeductionState {
  const before = state.attempts[entry.attemptNo - 1];
  invariant(before !== undefined, 'a reply belongs to an attempt');
  // A callback that overtakes the answer of our own call settles the call too: whoever waits for
  // that answer finds its place in the log taken.
  const openCall = state.openCall?.attemptNo === entry.attemptNo ? null : state.openCall;
  const evolved = withAttempt({ ...state, openCall }, entry.attemptNo, (a) => answered(a, entry));
  const suspicion = suspect(state, before, entry);
  return suspicion === null ? evolved : { ...evolved, suspicion };
}

/** What in a reply a person should see (rules 9 and 10). */
function suspect(
  state: DeductionState,
  before: Attempt,
  { answer, via }: EntryOf<'replied'>,
): DeductionState['suspicion'] {
  const attemptNo = before.no;
  if (answer.kind === 'mismatch') {
    if (hasCase(state, 'mismatch', attemptNo)) return null;
    const evidence = `${via}: ${answer.field} is ${answer.theirs}, ours is ${answer.ours}`;
    return { reason: 'mismatch', attemptNo, evidence };
  }
  if (answer.kind === 'declined' && before.status === 'succeeded') {
    const evidence = `${via}: declined (${answer.channelCode}) after it had succeeded`;
    return { reason: 'contradiction', attemptNo, evidence };
  }
  if (answer.kind !== 'succeeded' || before.status === 'succeeded') return null;
  const twice = state.attempts.some((one) => one.no !== attemptNo && one.status === 'succeeded');
  const evidence = `${via}: ${before.order.orderNo} succeeded at ${before.order.channelId}`;
  if (twice) return { reason: 'captured_twice', attemptNo, evidence };
  const late = isDead(before) || state.end !== null;
  return late
    ? { reason: 'late_success', attemptNo, evidence: `${evidence} after ${before.status}` }
    : null;
}

function withAttempt(
  state: DeductionState,
  attemptNo: number,
  change: (attempt: Attempt) => Attempt,
): DeductionState {
  const attempt = state.attempts[attemptNo - 1];
  invariant(attempt !== undefined, `no attempt ${attemptNo}`);
  return { ...state, attempts: state.attempts.with(attemptNo - 1, change(attempt)) };
}
