import type { ChannelId, OrderNo, RepaymentId, TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';
import type { BankAccount, ChannelNature, Order } from './order.js';
import type { Answer, NotExecutedProof } from './reply.js';
import type { Route } from './route.js';

export type TaskKind = 'deduction';
export type Source = 'app' | 'batch' | 'agent';

/** One request to collect an amount for one repayment from one bank account. */
export interface Deduction {
  readonly id: TaskId;
  readonly repaymentId: RepaymentId;
  readonly borrowerId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly account: BankAccount;
  readonly source: Source;
  /** Unique among all requests: the same request twice is the same deduction. */
  readonly requestKey: string;
  /** Digest of what was asked, to tell a repeated request from another under the same key. */
  readonly requestDigest: string;
  readonly batchId: string | null;
  /** Who asked by hand, and why. For `agent` only. */
  readonly agent: { readonly name: string; readonly reason: string } | null;
  /** No new attempt starts after this: a borrower is not charged days after they were asked. */
  readonly attemptUntilMs: number;
}

/**
 * What happened to a task, entry by entry. The log of entries is the task; everything else is
 * computed from it. The shape of an entry changes only by adding optional fields.
 */
export type Entry = { readonly atMs: number } & (
  | { readonly kind: 'accepted'; readonly deduction: Deduction }
  | { readonly kind: 'routed'; readonly route: Route }
  /** Committed before the first byte of a charge is sent (rule 1). */
  | {
      readonly kind: 'charge_intended';
      readonly attemptNo: number;
      readonly order: Order;
      readonly nature: ChannelNature;
    }
  /** The same order, byte-identical, is about to be sent again. */
  | { readonly kind: 'resend_intended'; readonly attemptNo: number }
  | { readonly kind: 'close_intended'; readonly attemptNo: number }
  /** Whoever resumes a call that was under way says so; the old holder then collides (rule 6). */
  | { readonly kind: 'taken_over'; readonly attemptNo: number; readonly by: string }
  | {
      readonly kind: 'replied';
      readonly attemptNo: number;
      readonly via: Via;
      readonly answer: Answer;
      /** When the request that this answers was sent; proofs by time count from here. */
      readonly sentAtMs: number;
    }
  | { readonly kind: 'not_executed'; readonly attemptNo: number; readonly proof: NotExecutedProof }
  | {
      readonly kind: 'settled';
      readonly attemptNo: number;
      readonly channelId: ChannelId;
      readonly orderNo: OrderNo;
      readonly amountMinor: AmountMinor;
    }
  | { readonly kind: 'failed'; readonly code: FailureCode; readonly detail: string }
  | {
      readonly kind: 'case_opened';
      readonly caseNo: number;
      readonly reason: CaseReason;
      readonly attemptNo: number;
      readonly evidence: string;
    }
  | { readonly kind: 'case_closed'; readonly caseNo: number; readonly resolution: string }
  /** A person wants the channel asked again: the poll schedule starts anew. */
  | { readonly kind: 'ask_requested'; readonly attemptNo: number; readonly by: string }
);

export type EntryKind = Entry['kind'];
export type EntryOf<K extends EntryKind> = Extract<Entry, { kind: K }>;

export type Via = 'charge' | 'query' | 'close' | 'callback';

/** Why a deduction ended without the money having moved. Decline codes come from the profiles. */
export type FailureCode = string;

export type CaseReason =
  /** The poll schedule ran out and the channel never gave a definite answer. */
  | 'outcome_unknown'
  /** A channel's signed answer names another order, amount, currency or merchant. */
  | 'mismatch'
  /** A success for an attempt that was dead, or for a deduction that had failed. */
  | 'late_success'
  /** Two attempts of one deduction were captured: one is owed back. */
  | 'captured_twice'
  /** A channel takes back what it had said definitely. */
  | 'contradiction';

const entryKinds: Record<EntryKind, true> = {
  accepted: true,
  routed: true,
  charge_intended: true,
  resend_intended: true,
  close_intended: true,
  taken_over: true,
  replied: true,
  not_executed: true,
  settled: true,
  failed: true,
  case_opened: true,
  case_closed: true,
  ask_requested: true,
};

/** An entry's body as stored. Keys that end in `Minor` hold amounts, written as decimal strings. */
export function encodeEntry(entry: Entry): string {
  const { kind: _kind, atMs: _atMs, ...body } = entry;
  return JSON.stringify(body, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

/** @throws Error on a kind that is not known: a newer release wrote it, or the row is damaged. */
export function decodeEntry(kind: string, atMs: number, body: string): Entry {
  if (!Object.hasOwn(entryKinds, kind)) throw new Error(`unknown entry kind: ${kind}`);
  const fields = JSON.parse(body, (key, value: unknown) =>
    key.endsWith('Minor') && typeof value === 'string' ? BigInt(value) : value,
  ) as object;
  return { ...fields, kind, atMs } as Entry;
}
