/** What holding a statement against our book can find, and how a difference is put to a person. */
import { assertNever } from '../assert.js';
import { formatDecimalAmount } from '../money.js';
import type { RowStatus, RowType } from './statement.js';

/** These agree, or are explained without anyone. */
export const agreeing = [
  /** In the statement of the order's own date, amount and fee as they must be. */
  'matched',
  /** The same, in the statement of another date. */
  'cross_day',
  /** Near midnight and in no statement yet: it may be in that of a day beside. */
  'held',
  /** The channel's second capture of one order, which we have counted: owed back, and a case's. */
  'captured_again',
  /** They say that it failed, and we hold no capture: nothing has moved. */
  'failed',
] as const;

/** These do not: each opens a break. */
export const breakKinds = [
  'only_ours',
  'only_theirs',
  /** Captured by our books (they had said so), and failed by their statement. */
  'status_flip',
  /** The channel captured (or refunded) one order number more than once. */
  'duplicate_capture',
  'amount_mismatch',
  'fee_mismatch',
] as const;

export type BreakKind = (typeof breakKinds)[number];
export type MatchKind = (typeof agreeing)[number] | BreakKind;

/** One side's rows of one kind. Amounts are of money that has moved: a failed row counts, but not its sum. */
export interface Tally {
  readonly kind: MatchKind;
  readonly type: RowType;
  readonly rows: number;
  readonly amountMinor: bigint;
  /** What the channel keeps; 0 on our side. */
  readonly feeMinor: bigint;
}

/** Everything known of one row or order that does not agree. */
export interface Difference {
  readonly kind: BreakKind;
  readonly type: RowType;
  readonly orderNo: string;
  readonly theirs: {
    readonly lineNo: number;
    readonly status: RowStatus;
    readonly channelRef: string;
    readonly amountMinor: bigint;
    readonly feeMinor: bigint;
    /** What the profile's fees make of it. */
    readonly feeDueMinor: bigint;
  } | null;
  readonly ours: { readonly status: string; readonly amountMinor: bigint } | null;
}

/** A break as it is kept. Amounts in minor units. */
export interface NewBreak {
  readonly kind: BreakKind;
  readonly type: RowType;
  readonly orderNo: string;
  /** Several of one kind about one order number are told apart by this, from 0. */
  readonly occurrence: number;
  readonly oursMinor: bigint | null;
  readonly theirsMinor: bigint | null;
  /** At risk. */
  readonly amountMinor: bigint;
  readonly evidence: string;
}

export function breakOf(difference: Difference, occurrence: number): NewBreak {
  const { kind, type, orderNo, theirs, ours } = difference;
  const fees = kind === 'fee_mismatch';
  return {
    kind,
    type,
    orderNo,
    occurrence,
    oursMinor: fees ? (theirs?.feeDueMinor ?? null) : (ours?.amountMinor ?? null),
    theirsMinor: (fees ? theirs?.feeMinor : theirs?.amountMinor) ?? null,
    amountMinor: atRisk(difference),
    evidence: evidenceOf(difference),
  };
}

function atRisk({ kind, theirs, ours }: Difference): bigint {
  const theirsMinor = theirs?.amountMinor ?? 0n;
  const oursMinor = ours?.amountMinor ?? 0n;
  switch (kind) {
    case 'only_ours':
    case 'status_flip':
      return oursMinor;
    case 'only_theirs':
      return theirs?.status === 'failed' ? 0n : theirsMinor;
    case 'duplicate_capture':
      return theirsMinor;
    case 'amount_mismatch':
      return distance(theirsMinor, oursMinor);
    case 'fee_mismatch':
      return distance(theirs?.feeMinor ?? 0n, theirs?.feeDueMinor ?? 0n);
    default:
      return assertNever(kind);
  }
}

export const distance = (one: bigint, other: bigint): bigint =>
  one > other ? one - other : other - one;

function evidenceOf({ kind, type, theirs, ours }: Difference): string {
  const says =
    theirs === null
      ? 'their statement: nothing'
      : `their statement, line ${theirs.lineNo}: ${type} ${theirs.status}, ` +
        `${formatDecimalAmount(theirs.amountMinor)}, channel number ${theirs.channelRef}`;
  const hold =
    ours === null
      ? 'our book: no such order'
      : `our book: ${type} ${ours.status}, ${formatDecimalAmount(ours.amountMinor)}`;
  if (kind !== 'fee_mismatch' || theirs === null) return `${says}; ${hold}`;
  const fee = formatDecimalAmount(theirs.feeMinor);
  return `${says}, fee ${fee}; by the profile ${formatDecimalAmount(theirs.feeDueMinor)}`;
}
