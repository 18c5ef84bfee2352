/** Deductions as callers read them: the projected rows. Nothing here decides anything. */
import type { TaskStatus } from '../engine/orders-state.js';
import type { CaseReason, Entry, RefundOfDeduction, Source } from '../engine/entries.js';
import type { Operation } from '../engine/order.js';
import type { ChannelId, OrderNo, RepaymentId, TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';

/** A deduction as callers see it: the projected row. */
export interface DeductionRecord {
  readonly id: TaskId;
  readonly repaymentId: string;
  readonly borrowerId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly bankCode: string;
  readonly accountLast4: string;
  readonly source: Source;
  readonly status: TaskStatus;
  readonly failureCode: string | null;
  readonly failureDetail: string | null;
  readonly channelId: string | null;
  readonly orderNo: string | null;
  readonly batchId: string | null;
  readonly agentName: string | null;
  readonly agentReason: string | null;
  readonly requestDigest: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface AttemptRecord {
  readonly attemptNo: number;
  readonly operation: Operation;
  readonly orderNo: string;
  readonly channelId: string;
  readonly status: string;
  readonly channelRef: string | null;
  readonly declineCode: string | null;
  readonly channelCode: string | null;
  readonly proof: string | null;
  readonly unknownWhy: string | null;
  readonly asks: number;
  readonly nextAskAt: Date | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly endedAt: Date | null;
}

export interface CaseRecord {
  readonly deductionId: TaskId;
  readonly caseNo: number;
  readonly reason: CaseReason;
  readonly attemptNo: number;
  readonly amountMinor: AmountMinor;
  readonly evidence: string;
  readonly owner: string | null;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly resolution: string | null;
}

export interface LoggedEntry {
  readonly seq: number;
  readonly writer: string;
  readonly entry: Entry;
}

export interface DeductionFilter {
  readonly status?: TaskStatus | undefined;
  readonly repaymentId?: RepaymentId | undefined;
  readonly batchId?: string | undefined;
  readonly borrowerId?: string | undefined;
  /** The one that placed this order, whatever became of the order. */
  readonly orderNo?: string | undefined;
  /** Accepted at this time or later. */
  readonly from?: Date | undefined;
  /** Accepted before this time. */
  readonly until?: Date | undefined;
  /** Only deductions older than this one: ids are in order of time. */
  readonly before?: TaskId | undefined;
  readonly limit: number;
}

/** A refund as callers see it: the projected row. */
export interface RefundRecord {
  readonly id: TaskId;
  /** The task whose capture it is: one of the two. */
  readonly deductionId: TaskId | null;
  readonly topUpId: TaskId | null;
  readonly attemptNo: number;
  /** Of a top-up: which of the order's captures. */
  readonly captureNo: number | null;
  /** Of a deduction. */
  readonly repaymentId: string | null;
  readonly channelId: string;
  readonly captureOrderNo: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly takenFrom: RefundOfDeduction['from'];
  readonly status: TaskStatus;
  readonly failureCode: string | null;
  readonly failureDetail: string | null;
  readonly orderNo: string | null;
  readonly reason: string;
  readonly requestedBy: string;
  readonly approvedBy: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface RefundFilter {
  readonly status?: TaskStatus | undefined;
  readonly deductionId?: TaskId | undefined;
  readonly topUpId?: TaskId | undefined;
  readonly before?: TaskId | undefined;
  readonly limit: number;
}

/** A captured order, and what has become of its money. */
export type CaptureRecord = CaptureOfDeduction | CaptureOfTopUp;

interface Captured {
  readonly attemptNo: number;
  readonly channelId: ChannelId;
  readonly orderNo: OrderNo;
  readonly channelRef: string;
  readonly currency: Currency;
  /** Of one capture. */
  readonly amountMinor: AmountMinor;
  /** How often the channel took it. */
  readonly captures: number;
}

export interface CaptureOfDeduction extends Captured {
  readonly deductionId: TaskId;
  readonly repaymentId: RepaymentId;
  /** Counted as paid on the repayment. */
  readonly creditedMinor: bigint;
  /** Given back, or about to be. */
  readonly refundMinor: bigint;
}

export interface CaptureOfTopUp extends Captured {
  readonly topUpId: TaskId;
  /** The first capture of the payment is the top-up's own: it credits it, or gives it back itself. */
  readonly isPayment: boolean;
  /** The captures that refunds have given back, or are about to. */
  readonly taken: readonly number[];
}
