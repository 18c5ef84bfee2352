import type { RepaymentId, TaskId } from '../ids.js';
import type { AmountMinor } from '../money.js';
import type { Repayment } from './repayment.js';

export type BatchState = 'loading' | 'running' | 'paused' | 'done' | 'refused';

export interface Batch {
  readonly id: TaskId;
  readonly name: string;
  readonly state: BatchState;
  readonly rowsTotal: number;
  readonly rowsRejected: number;
  readonly createdAt: Date;
  readonly loadedAt: Date | null;
  readonly endedAt: Date | null;
}

export interface BatchProgress {
  /** Rows not yet started nor rejected. */
  readonly pending: number;
  readonly started: number;
  readonly rejected: number;
  /** Deductions of the batch by status. */
  readonly processing: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly needsReview: number;
  readonly collectedMinor: AmountMinor;
}

export interface BatchItem {
  readonly lineNo: number;
  readonly amountMinor: AmountMinor | null;
  readonly repayment: Repayment;
}

export interface NewBatchItem {
  readonly lineNo: number;
  readonly repaymentId: RepaymentId | null;
  readonly amountMinor: AmountMinor | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
}

export interface RejectedItem {
  readonly lineNo: number;
  readonly code: string;
  readonly detail: string;
}

/** What became of a claimed row. `later`: it stays pending, and its claim ends then. */
export type ItemResult =
  | { readonly lineNo: number; readonly deductionId: string }
  | { readonly lineNo: number; readonly code: string; readonly detail: string }
  | { readonly lineNo: number; readonly laterMs: number };

/** Batches and their rows. `store/` provides it. */
export interface Batches {
  /** Makes the batch, or finds the one of the same request key. */
  open(id: TaskId, name: string, requestKey: string, nowMs: number): Promise<Batch>;
  find(id: TaskId): Promise<Batch | null>;
  findByRequest(requestKey: string): Promise<Batch | null>;
  inState(state: BatchState): Promise<readonly Batch[]>;
  /**
   * Adds rows; one that is there already (a load begun again) stays as it is. A repayment that
   * stands in the file twice keeps its first line: the later line is returned.
   */
  addItems(batchId: TaskId, items: readonly NewBatchItem[]): Promise<readonly number[]>;
  /** All rows are there: the workers may begin. */
  loaded(batchId: TaskId, nowMs: number): Promise<void>;
  /** False when the batch was not in the state `from`. */
  move(batchId: TaskId, from: BatchState, to: BatchState, nowMs: number): Promise<boolean>;
  /** Claims rows of a running batch, in line order; other workers step around them. */
  claim(
    batchId: TaskId,
    claim: { by: string; nowMs: number; untilMs: number; limit: number },
  ): Promise<readonly BatchItem[]>;
  /** Records what became of rows that `by` still has claimed; another's word about a row stays. */
  record(batchId: TaskId, by: string, results: readonly ItemResult[]): Promise<void>;
  progress(batchId: TaskId): Promise<BatchProgress>;
  /** Rejected rows after a line, in line order. */
  rejected(batchId: TaskId, afterLine: number, limit: number): Promise<readonly RejectedItem[]>;
  /** Adds every repayment due on a business date and not yet paid, in one statement. */
  addDue(batchId: TaskId, dueDate: string): Promise<number>;
}
