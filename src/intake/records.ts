/** Deductions as callers read them: the projected rows. Nothing here decides anything. */
import type { TaskStatus } from '../engine/orders-state.js';
import type { CaseReason, Entry, Refund, Source } from '../engine/entries.js';
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
  /** Only deductions older than this one: ids are in order of time. */
  readonly before?: TaskId | undefined;
  readonly limit: number;
}

/** A refund as callers see it: the projected row. */
export interface RefundRecord {
  readonly id: TaskId;
  readonly deductionId: TaskId;
  readonly attemptNo: number;
  readonly repaymentId: string;
  readonly channelId: string;
  readonly captureOrderNo: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly takenFrom: Refund['from'];
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
  readonly before?: TaskId | undefined;
  readonly limit: number;
}

/** A captured order, and what has become of its money. */
export interface CaptureRecord {
  readonly deductionId: TaskId;
  readonly attemptNo: number;
  readonly repaymentId: RepaymentId;
  readonly channelId: ChannelId;
  readonly orderNo: OrderNo;
  readonly channelRef: string;
  readonly currency: Currency;
  /** Of one capture. */
  readonly amountMinor: AmountMinor;
  /** How often the channel took it. */
  readonly captures: number;
  /** Counted as paid on the repayment. */
  readonly creditedMinor: bigint;
  /** Given back, or about to be. */
  readonly refundMinor: bigint;
}
