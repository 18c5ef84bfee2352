/**
 * What the entries of a deduction's log add up to. Pure: folding a log again always gives the same
 * state, and the tables are computed from it.
 */
import { assertNever, invariant } from '../assert.js';
import { answered, dead, isDead, isLive, newAttempt, type Attempt } from './attempt.js';
import type { CaseReason, Deduction, Entry, EntryOf } from './entries.js';
import type { TaskState } from './flow.js';
import type { Route } from './route.js';

export interface Case {
  readonly no: number;
  readonly reason: CaseReason;
  readonly attemptNo: number;
  readonly evidence: string;
  readonly openedAtMs: number;
  readonly closed: { readonly atMs: number; readonly resolution: string } | null;
}

type Suspicion = Omit<EntryOf<'case_opened'>, 'kind' | 'atMs' | 'caseNo'>;

export interface DeductionState extends TaskState {
  readonly deduction: Deduction;
  readonly acceptedAtMs: number;
  readonly route: { readonly plan: Route; readonly atMs: number } | null;
  readonly attempts: readonly Attempt[];
  readonly cases: readonly Case[];
  /** Seen in the log and not yet laid before a person. */
  readonly suspicions: readonly Suspicion[];
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

export const hasCase = (state: DeductionState, reason: CaseReason, attemptNo: number): boolean =>
  state.cases.some((one) => one.reason === reason && one.attemptNo === attemptNo);

export const openCase = (state: DeductionState, reason: CaseReason, attemptNo: number): boolean =>
  state.cases.some(
    (one) => one.reason === reason && one.attemptNo === attemptNo && one.closed === null,
  );

export function evolve(state: DeductionState | null, entry: Entry): DeductionState {
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
      suspicions: [],
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
    case 'close_intended':
    case 'taken_over':
    case 'not_executed':
    case 'ask_requested':
      return evolveAttempt(moved, entry);
    case 'replied':
      return evolveReply(moved, entry);
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
      const suspicions = state.suspicions.filter(
        (one) => one.reason !== reason || one.attemptNo !== attemptNo,
      );
      return { ...moved, suspicions, cases: [...state.cases, opened] };
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

type AttemptEntry = EntryOf<
  'resend_intended' | 'close_intended' | 'taken_over' | 'not_executed' | 'ask_requested'
>;

function evolveAttempt(state: DeductionState, entry: AttemptEntry): DeductionState {
  const { attemptNo, atMs } = entry;
  const change = (fields: (a: Attempt) => Partial<Attempt>): DeductionState =>
    withAttempt(state, attemptNo, (a) => ({ ...a, ...fields(a) }));
  switch (entry.kind) {
    case 'resend_intended': {
      const calling = change((a) => ({ sends: a.sends + 1, notFoundSentAtMs: null }));
      return { ...calling, openCall: { attemptNo } };
    }
    case 'close_intended':
      return { ...change(() => ({ notFoundSentAtMs: null })), openCall: { attemptNo } };
    case 'taken_over': {
      invariant(state.openCall?.attemptNo === attemptNo, 'only an open call is taken over');
      const taken = change((a) => ({
        status: a.status === 'sending' ? 'unknown' : a.status,
        sends: a.sends + 1,
        unknownWhy: 'taken_over',
        nextAskMs: atMs,
      }));
      return { ...taken, openCall: null };
    }
    case 'not_executed':
      return withAttempt(state, attemptNo, (a) => {
        invariant(isLive(a), 'only a live attempt is proven dead');
        return dead(a, entry.proof, atMs);
      });
    case 'ask_requested':
      return change(() => ({ asks: 0, nextAskMs: atMs }));
    default:
      return assertNever(entry);
  }
}

function evolveReply(state: DeductionState, entry: EntryOf<'replied'>): DeductionState {
  const before = state.attempts[entry.attemptNo - 1];
  invariant(before !== undefined, 'a reply belongs to an attempt');
  // A callback that overtakes the answer of our own call settles the call too: whoever waits for
  // that answer finds its place in the log taken.
  const openCall = state.openCall?.attemptNo === entry.attemptNo ? null : state.openCall;
  const evolved = withAttempt({ ...state, openCall }, entry.attemptNo, (a) => answered(a, entry));
  const suspicion = suspect(state, before, entry);
  return suspicion === null
    ? evolved
    : { ...evolved, suspicions: [...state.suspicions, suspicion] };
}

/** What in a reply a person should see (rules 9 and 10). */
function suspect(
  state: DeductionState,
  before: Attempt,
  { answer, via }: EntryOf<'replied'>,
): Suspicion | null {
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
