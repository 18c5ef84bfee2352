/** Top-ups as callers read them: the projected rows. Nothing here decides anything. */
import type { TaskStatus } from '../engine/orders-state.js';
import type { TopUpStage } from '../engine/top-up.js';
import type { TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';

export interface TopUpRecord {
  readonly id: TaskId;
  readonly customerId: string;
  /** What the customer pays. */
  readonly amountMinor: AmountMinor;
  /** What the card gets for it, bonus included, by this rule. */
  readonly creditMinor: AmountMinor;
  readonly rule: string;
  readonly currency: Currency;
  /** The card system. */
  readonly cards: string;
  readonly cardLast4: string;
  readonly bankCode: string;
  readonly payerLast4: string;
  readonly status: TaskStatus;
  readonly stage: TopUpStage;
  readonly failureCode: string | null;
  readonly failureDetail: string | null;
  /** Of the payment. */
  readonly channelId: string | null;
  readonly orderNo: string | null;
  readonly paidAt: Date | null;
  /** When a credit that is not confirmed is looked into. */
  readonly settleAt: Date | null;
  /** The card system was told to credit and has not said what came of it: it counts as credited. */
  readonly creditUnknownSince: Date | null;
  readonly creditedAt: Date | null;
  readonly refundedAt: Date | null;
  readonly requestDigest: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface TopUpFilter {
  readonly status?: TaskStatus | undefined;
  readonly stage?: TopUpStage | undefined;
  readonly customerId?: string | undefined;
  /** Only top-ups older than this one: ids are in order of time. */
  readonly before?: TaskId | undefined;
  readonly limit: number;
}

/** A stored-value card is at no bank. */
export const cardBank = 'CARD';

/** `store/` provides it. */
export interface TopUpReads {
  find(id: TaskId): Promise<TopUpRecord | null>;
  findMany(ids: readonly TaskId[]): Promise<readonly TopUpRecord[]>;
  findByRequest(requestKey: string): Promise<TopUpRecord | null>;
  /** Newest first. */
  list(filter: TopUpFilter): Promise<readonly TopUpRecord[]>;
}
