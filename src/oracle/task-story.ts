/** What the log of one task tells, entry by entry: `log-story.ts` reads it, `flow-edges.ts` says what may come next. */
import type { BookedOperation, LogRow } from './evidence.js';
import type { Violation } from './verdict.js';

export type StoryKind = 'deduction' | 'refund' | 'withdrawal' | 'top_up';

export interface OrderStory {
  readonly attemptNo: number;
  readonly operation: BookedOperation;
  readonly orderNo: string;
  readonly channelId: string;
  readonly amountMinor: bigint;
  readonly idempotent: boolean;
  /** The earlier order that it is about: of a restore, its debit. */
  readonly regarding: string | null;
  /** The place in the log that first told of its success; 0: none does. */
  doneAt: number;
  /** Captured, and the task had ended without it: at some time it was owed back. */
  excess: boolean;
  /** How often the channel took it, by its own word; each time beyond the first is owed back. */
  captures: number;
  status: 'open' | 'succeeded' | 'declined' | 'not_executed';
  /** Sends that the log cannot tell apart from several. */
  sends: number;
}

/** What the log of one task tells to somebody who knows only its documented form. */
export interface TaskStory {
  readonly taskId: string;
  kind: StoryKind;
  /** Of a refund: what goes back. */
  refund: NonNullable<LogRow['body']['refund']> | null;
  repaymentId: string;
  /** Of a top-up: what the card gets, and how long a credit is insisted on once it is paid. */
  creditMinor: bigint;
  settleAfterMs: number;
  /** Until then; minus infinity while nobody has paid, or where nobody knows. */
  settleAtMs: number;
  /** Of a withdrawal. */
  withdrawal: NonNullable<LogRow['body']['withdrawal']> | null;
  amountMinor: bigint;
  length: number;
  readonly orders: Map<number, OrderStory>;
  readonly cases: Map<number, CaseStory>;
  /** The decision that the entry before this one told of, about this attempt. */
  decided: { readonly action: string; readonly attemptNo: number } | null;
  end: 'succeeded' | 'failed' | null;
  settledOrderNo: string | null;
  routed: boolean;
  attemptUntilMs: number;
  /** Legs with a decline that no other order may be tried after (rule 4). */
  readonly declinedForGood: Set<string>;
  /** Of a withdrawal: debits that people want given back, although nothing was built on them. */
  readonly adopted: Set<number>;
  /** Answers that a person must be shown: `reason attemptNo`. */
  readonly suspicions: Set<string>;
  /** An intent whose answer is not in the log. */
  openCall: number | null;
  readonly violations: Violation[];
}

export interface CaseStory {
  readonly reason: string;
  readonly attemptNo: number;
  open: boolean;
  decision: NonNullable<LogRow['body']['decision']> | null;
}

export const isLive = (story: TaskStory): boolean => story.end === null;

/** `needs_review`: the outcome is not known, and a person has been told. */
export function statusOf(story: TaskStory): string {
  if (story.end !== null) return story.end;
  const open = [...story.orders.values()].find((order) => order.status === 'open');
  const told = [...story.cases.values()].some(
    (one) => one.open && one.reason === 'outcome_unknown' && one.attemptNo === open?.attemptNo,
  );
  const stuck = [...story.cases.values()].some((one) => one.open && one.reason === 'undo_failed');
  return stuck || (open !== undefined && told) ? 'needs_review' : 'processing';
}

export const newStory = (taskId: string): TaskStory => ({
  taskId,
  kind: 'deduction',
  refund: null,
  withdrawal: null,
  creditMinor: 0n,
  settleAfterMs: 0,
  settleAtMs: -Infinity,
  decided: null,
  repaymentId: '',
  amountMinor: 0n,
  length: 0,
  orders: new Map(),
  cases: new Map(),
  end: null,
  settledOrderNo: null,
  routed: false,
  attemptUntilMs: Infinity,
  declinedForGood: new Set(),
  adopted: new Set(),
  suspicions: new Set(),
  openCall: null,
  violations: [],
});
