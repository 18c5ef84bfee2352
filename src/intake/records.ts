/** Deductions as callers read them: the projected rows. Nothing here decides anything. */
import type { DeductionStatus } from '../engine/deduction.js';
import type { CaseReason, Entry, Source } from '../engine/entries.js';
import type { RepaymentId, TaskId } from '../ids.js';
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
  readonly status: DeductionStatus;
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
  readonly status?: DeductionStatus | undefined;
  readonly repaymentId?: RepaymentId | undefined;
  readonly batchId?: string | undefined;
  /** Only deductions older than this one: ids are in order of time. */
  readonly before?: TaskId | undefined;
  readonly limit: number;
}
