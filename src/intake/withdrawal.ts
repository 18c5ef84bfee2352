/** Withdrawals as callers read them: the projected rows. Nothing here decides anything. */
import type { TaskStatus } from '../engine/orders-state.js';
import type { TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';

export interface WithdrawalRecord {
  readonly id: TaskId;
  readonly memberId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  /** Where the money goes. */
  readonly bankCode: string;
  readonly accountLast4: string;
  /** The remote service that it is debited at; null: a balance of ours. */
  readonly accountService: string | null;
  readonly status: TaskStatus;
  readonly failureCode: string | null;
  readonly failureDetail: string | null;
  /** Of the payout that succeeded. */
  readonly channelId: string | null;
  readonly orderNo: string | null;
  readonly requestDigest: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface WithdrawalFilter {
  readonly status?: TaskStatus | undefined;
  readonly memberId?: string | undefined;
  /** Only withdrawals older than this one: ids are in order of time. */
  readonly before?: TaskId | undefined;
  readonly limit: number;
}

/** `store/` provides it. */
export interface WithdrawalReads {
  find(id: TaskId): Promise<WithdrawalRecord | null>;
  findMany(ids: readonly TaskId[]): Promise<readonly WithdrawalRecord[]>;
  findByRequest(requestKey: string): Promise<WithdrawalRecord | null>;
  /** Newest first. */
  list(filter: WithdrawalFilter): Promise<readonly WithdrawalRecord[]>;
}

/** An account at an account service is at no bank. */
export const balanceBank = 'BALANCE';
