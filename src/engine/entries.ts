import type { ChannelId, OrderNo, RepaymentId, TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';
import {
  operations,
  type BankAccount,
  type ChannelNature,
  type Operation,
  type Order,
} from './order.js';
import type { Answer, NotExecutedProof } from './reply.js';
import type { TopUp, Withdrawal } from './requests.js';
import type { Route } from './route.js';

export type TaskKind = 'deduction' | 'refund' | 'withdrawal' | 'top_up';
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

/** One request to give back money that was captured, in whole or in part, where it was captured. */
export type Refund = RefundOfDeduction | RefundOfTopUp;

interface GivenBack {
  readonly id: TaskId;
  /** The captured attempt of the task that took it, its channel and its numbers there. */
  readonly attemptNo: number;
  readonly channelId: ChannelId;
  readonly captureOrderNo: OrderNo;
  readonly channelRef: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly account: BankAccount;
  /** Unique among all refunds: the same request twice is the same refund. */
  readonly requestKey: string;
  readonly reason: string;
  /** Two people: one asked, the other approved. */
  readonly requestedBy: string;
  readonly approvedBy: string;
  readonly orderTtlMs: number;
  readonly nature: ChannelNature;
}

export interface RefundOfDeduction extends GivenBack {
  readonly deductionId: TaskId;
  /**
   * What the money is taken from: `excess` was never credited to the repayment (a late or a second
   * capture); `repayment` was, and is owed again once it has been given back.
   */
  readonly from: 'excess' | 'repayment';
  readonly repaymentId: RepaymentId;
}

/**
 * Of what a customer paid beyond the payment that the top-up is built on. That one the top-up itself
 * credits or gives back.
 */
export interface RefundOfTopUp extends GivenBack {
  readonly topUpId: TaskId;
  /** Which of the order's captures: all of one goes back, once. */
  readonly captureNo: number;
}

/**
 * What two people decided about a case: one proposed it, the other approved it. `ask_again` is no
 * decision about money, and is logged as `ask_requested`.
 */
export type Decision =
  /** The money did move; `proof` says how that is known. */
  | { readonly action: 'adopt_captured'; readonly channelRef: string; readonly proof: string }
  /** It did not and never will. */
  | { readonly action: 'mark_not_executed'; readonly proof: string }
  /** A refund task gives it back. */
  | { readonly action: 'refund'; readonly refundId: string }
  /** Of a debit that its withdrawal did without: the withdrawal gives it back by an order. */
  | { readonly action: 'restore'; readonly reason: string }
  /** Nothing moves. */
  | { readonly action: 'write_off'; readonly reason: string };

/**
 * What happened to a task, entry by entry. The log of entries is the task; everything else is
 * computed from it. The shape of an entry changes only by adding optional fields.
 */
export type Entry = { readonly atMs: number } & (
  | { readonly kind: 'accepted'; readonly deduction: Deduction }
  | { readonly kind: 'refund_accepted'; readonly refund: RefundOfDeduction }
  | { readonly kind: 'top_up_refund_accepted'; readonly refund: RefundOfTopUp }
  | { readonly kind: 'withdrawal_accepted'; readonly withdrawal: Withdrawal }
  | { readonly kind: 'top_up_accepted'; readonly topUp: TopUp }
  | { readonly kind: 'routed'; readonly route: Route }
  /**
   * Committed before the first byte of an order is sent (rule 1). `intended` is of every operation that
   * has no name of its own here; the order says which.
   */
  | {
      readonly kind: 'charge_intended' | 'refund_intended' | 'intended';
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
      /** Which statement says so. */
      readonly source?: string;
    }
  | { readonly kind: 'not_executed'; readonly attemptNo: number; readonly proof: NotExecutedProof }
  /** The channel itself took the money of one order once more: `captures` times by now. */
  | {
      readonly kind: 'captured_again';
      readonly attemptNo: number;
      readonly captures: number;
      readonly source: string;
    }
  | {
      readonly kind: 'settled';
      readonly attemptNo: number;
      readonly channelId: ChannelId;
      readonly orderNo: OrderNo;
      readonly amountMinor: AmountMinor;
      /** A capture that was found after the task had failed, adopted by a decision. */
      readonly afterFailure?: true;
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
  | {
      readonly kind: 'decided';
      readonly caseNo: number;
      readonly attemptNo: number;
      readonly decision: Decision;
      readonly by: string;
      readonly approvedBy: string;
    }
  /**
   * Stands behind its `decided`: this debit is the withdrawal's to give back. Of its own kind, so that a
   * release that does not restore after the end refuses the log, and does not read it as ended.
   */
  | { readonly kind: 'debit_adopted'; readonly caseNo: number; readonly attemptNo: number }
  /** A person wants the channel asked again: the poll schedule starts anew, or `once` at its last ask. */
  | {
      readonly kind: 'ask_requested';
      readonly attemptNo: number;
      readonly by: string;
      readonly once?: true;
    }
);

export type EntryKind = Entry['kind'];
export type EntryOf<K extends EntryKind> = Extract<Entry, { kind: K }>;

/** An order is about to be placed. */
export type Intent = Extract<Entry, { readonly nature: ChannelNature }>;

/** `statement` is the channel's own account of a day; `decision` is what two people made of a case. */
export type Via = Operation | 'query' | 'close' | 'callback' | 'statement' | 'decision';

/** Ways in which an order is placed: the request itself may have moved the money. */
export type Placing = Operation;
const placings: readonly Via[] = operations;
export const isPlacing = (via: Via): via is Placing => placings.includes(via);

/** Why a task ended without the money having moved. Decline codes come from the profiles. */
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
  | 'contradiction'
  /** Money that is owed back could not be given back. */
  | 'refund_failed'
  /** A task that cannot go forward cannot go back either: a step of it could not be undone. */
  | 'undo_failed';

const entryKinds: Record<EntryKind, true> = {
  accepted: true,
  refund_accepted: true,
  top_up_refund_accepted: true,
  withdrawal_accepted: true,
  top_up_accepted: true,
  routed: true,
  charge_intended: true,
  refund_intended: true,
  intended: true,
  resend_intended: true,
  close_intended: true,
  taken_over: true,
  replied: true,
  not_executed: true,
  captured_again: true,
  settled: true,
  failed: true,
  case_opened: true,
  case_closed: true,
  decided: true,
  debit_adopted: true,
  ask_requested: true,
};

/**
 * An entry's body as stored: JSON, without what has a column of its own. Keys that end in `Minor` hold
 * amounts, written as decimal strings.
 *
 * Written out here and not by JSON.stringify, which cannot write a bigint without being called back
 * for every field of every entry, nor be told that it has written this nature a thousand times.
 */
export function encodeEntry(entry: Entry): string {
  const parts: string[] = [];
  encodeFields(parts, entry, true);
  // Joined once: a text that grows piece by piece is a tree of pieces, each an object to collect.
  return parts.join('');
}

type Fields = Readonly<Record<string, unknown>>;

function encodeFields(parts: string[], fields: Fields, isEntry = false): void {
  let before = '{';
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (value === undefined || (isEntry && (key === 'kind' || key === 'atMs'))) continue;
    parts.push(before, quoted(key), ':');
    if (key === 'nature') parts.push(encodeNature(value as ChannelNature));
    else encodeValue(parts, value);
    before = ',';
  }
  parts.push(before === '{' ? '{}' : '}');
}

function encodeValue(parts: string[], value: unknown): void {
  if (typeof value === 'string') parts.push(quoted(value));
  else if (typeof value === 'bigint') parts.push(`"${value}"`);
  else if (Array.isArray(value)) encodeList(parts, value);
  else if (typeof value === 'object' && value !== null) encodeFields(parts, value as Fields);
  else parts.push(JSON.stringify(value ?? null));
}

function encodeList(parts: string[], list: readonly unknown[]): void {
  for (const [index, one] of list.entries()) {
    parts.push(index === 0 ? '[' : ',');
    encodeValue(parts, one);
  }
  parts.push(list.length === 0 ? '[]' : ']');
}

/** What JSON takes as it is: neither quotes, backslashes nor control characters, nor half a character. */
const plain = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

/** A channel's nature is one value until its profile changes, and stands in most entries. */
const natures = new WeakMap<ChannelNature, string>();

function encodeNature(nature: ChannelNature): string {
  const known = natures.get(nature);
  if (known !== undefined) return known;
  const parts: string[] = [];
  encodeFields(parts, nature as unknown as Fields);
  const text = parts.join('');
  natures.set(nature, text);
  return text;
}

/** @throws Error on a kind that is not known: a newer release wrote it, or the row is damaged. */
export function decodeEntry(kind: string, atMs: number, body: string): Entry {
  if (!Object.hasOwn(entryKinds, kind)) throw new Error(`unknown entry kind: ${kind}`);
  const fields = JSON.parse(body) as Record<string, unknown>;
  readAmounts(fields);
  return Object.assign(fields, { kind, atMs }) as unknown as Entry;
}

/** In place, and not by JSON.parse, which would call back for every field of every entry. */
function readAmounts(fields: Record<string, unknown>): void {
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (typeof value === 'string') {
      if (key.endsWith('Minor')) fields[key] = BigInt(value);
    } else if (typeof value === 'object' && value !== null) {
      readAmounts(value as Record<string, unknown>);
    }
  }
}
