/** What a channel's statement says, whatever form the file has. */
import type { StatementTerms } from '../channels/profile.js';
import type { ChannelId } from '../ids.js';

export type StatementFormat = StatementTerms['format'];

export const rowTypes = ['capture', 'refund', 'payout'] as const;
export type RowType = (typeof rowTypes)[number];
const rowStatuses = ['succeeded', 'failed'] as const;
export type RowStatus = (typeof rowStatuses)[number];

/** One line. Its order number is the channel's word for it: nothing says yet that it is ours. */
export interface StatementRow {
  /** In the (uncompressed) file, from 1. */
  readonly lineNo: number;
  readonly type: RowType;
  readonly orderNo: string;
  readonly channelRef: string;
  readonly status: RowStatus;
  readonly amountMinor: bigint;
  /** What the channel keeps for this order. */
  readonly feeMinor: bigint;
  readonly completedAtMs: number;
}

/** What the trailer states and what the lines must add up to. Sums are of succeeded rows alone. */
export interface StatementTotals {
  readonly rows: number;
  readonly capturedMinor: bigint;
  readonly refundedMinor: bigint;
  readonly paidOutMinor: bigint;
  readonly feeMinor: bigint;
}

export const noTotals: StatementTotals = {
  rows: 0,
  capturedMinor: 0n,
  refundedMinor: 0n,
  paidOutMinor: 0n,
  feeMinor: 0n,
};

export function totalsWith(totals: StatementTotals, row: StatementRow): StatementTotals {
  const moved = row.status === 'succeeded';
  const sum = (type: RowType): bigint => (moved && row.type === type ? row.amountMinor : 0n);
  return {
    rows: totals.rows + 1,
    capturedMinor: totals.capturedMinor + sum('capture'),
    refundedMinor: totals.refundedMinor + sum('refund'),
    paidOutMinor: totals.paidOutMinor + sum('payout'),
    feeMinor: totals.feeMinor + (moved ? row.feeMinor : 0n),
  };
}

/** Whose statement of which day. */
export interface StatementHead {
  readonly channelId: ChannelId;
  readonly merchantId: string;
  /** The channel's business date, 2026-11-22. */
  readonly date: string;
}

/** The currency of every amount in a statement; a file in another is refused by its head. */
export const statementCurrency = 'CNY';
