/**
 * What the oracle is given: the channels' books and our tables, as plain values. Rows have the names
 * of the tables' columns, so that `SELECT *` is evidence as it comes; amounts may be bigints, numbers
 * or decimal strings. The oracle knows no code of the engine, so that a bug there cannot hide here.
 */
export type Amount = bigint | number | string;
export type Instant = string | number | Date | null;

export type BookedOperation =
  'charge' | 'refund' | 'payout' | 'debit' | 'restore' | 'pre_recharge' | 'credit' | 'void';

export interface BookedOrder {
  readonly channelId: string;
  readonly orderNo: string;
  /** Absent: a charge. Card systems and account services are channels like any other here. */
  readonly operation?: BookedOperation;
  /** The earlier order that a credit or a void (its pre-recharge) or a restore (its debit) is about. */
  readonly regarding?: string | null;
  /** In the words of the book that it is from; for people. */
  readonly state: string;
  /** When the book first had it, ms; where that is known. */
  readonly startedAtMs?: number;
  readonly amountMinor: bigint | null;
  /** Each time that the order was carried out, whatever its operation but refund. */
  readonly captures: readonly {
    readonly amountMinor: bigint;
    /** When, ms; where that is known. */
    readonly atMs?: number;
    /** The channel took it again by itself: not our doing, counted apart. */
    readonly own?: boolean;
    /** The channel broke what its profile promises. We cannot prevent it, only notice it. */
    readonly violation?: boolean;
  }[];
  /** What was paid back of a captured order, and under which order number. */
  readonly refunds?: readonly { readonly amountMinor: bigint; readonly orderNo?: string }[];
}

/** One row of the execution log; `body` is the entry without its kind and time. */
export interface LogRow {
  readonly taskId: string;
  readonly seq: number;
  readonly kind: string;
  /** Where it is known. */
  readonly atMs?: number;
  readonly writer: string;
  readonly body: LogBody;
}

/** Those parts of entries that the oracle reads. */
export interface LogBody {
  readonly deduction?: {
    readonly repaymentId: string;
    readonly amountMinor: Amount;
    readonly attemptUntilMs?: number;
  };
  readonly refund?: {
    /** Of a deduction, or of a top-up. */
    readonly deductionId?: string;
    readonly repaymentId?: string;
    readonly from?: string;
    readonly topUpId?: string;
    readonly captureNo?: number;
    readonly captureOrderNo: string;
    readonly amountMinor: Amount;
  };
  readonly withdrawal?: {
    readonly memberId: string;
    readonly amountMinor: Amount;
    readonly currency: string;
    /** Null: from the member's balance in our tables. */
    readonly funding: object | null;
    readonly attemptUntilMs?: number;
  };
  readonly topUp?: {
    readonly amountMinor: Amount;
    readonly creditMinor: Amount;
    readonly attemptUntilMs?: number;
    readonly settleAfterMs?: number;
  };
  readonly decision?: { readonly action: string; readonly refundId?: string };
  readonly by?: string;
  readonly approvedBy?: string;
  readonly afterFailure?: boolean;
  readonly attemptNo?: number;
  readonly order?: {
    readonly orderNo: string;
    readonly channelId: string;
    readonly operation?: BookedOperation;
    readonly regarding?: { readonly orderNo: string };
    readonly refundOf?: { readonly orderNo: string };
    readonly amountMinor: Amount;
    readonly createdAtMs?: number;
  };
  readonly nature?: { readonly idempotent: boolean };
  readonly via?: string;
  readonly answer?: {
    readonly kind: string;
    readonly proof?: string;
    readonly scope?: string;
    readonly why?: string;
    readonly code?: string;
  };
  readonly proof?: string;
  readonly orderNo?: string;
  readonly channelId?: string;
  readonly amountMinor?: Amount;
  readonly code?: string;
  readonly caseNo?: number;
  readonly captures?: number;
  readonly reason?: string;
}

export interface DeductionRow {
  readonly id: string;
  readonly repayment_id: string;
  readonly status: string;
  readonly amount_minor: Amount;
  readonly order_no: string | null;
  readonly channel_id: string | null;
  readonly attempts: number | string;
  readonly failure_code: string | null;
}

export interface AttemptRow {
  readonly task_id: string;
  readonly attempt_no: number | string;
  readonly order_no: string;
  readonly channel_id: string;
  readonly amount_minor: Amount;
  readonly status: string;
  /** Of a captured order: what counts as paid, and what is given back or about to be. */
  readonly credited_minor?: Amount;
  readonly refund_minor?: Amount;
}

export interface RefundRow {
  readonly id: string;
  readonly deduction_id: string | null;
  /** Absent in the tables of earlier releases. */
  readonly top_up_id?: string | null;
  readonly status: string;
  readonly amount_minor: Amount;
  readonly order_no: string | null;
  readonly attempts: number | string;
}

export interface WithdrawalRow {
  readonly id: string;
  readonly member_id: string;
  readonly status: string;
  readonly amount_minor: Amount;
  readonly order_no: string | null;
  readonly attempts: number | string;
  /** Null: it was taken from an account at a remote service. */
  readonly balance_of: string | null;
  /** Absent in the tables of earlier releases. */
  readonly gives_back?: number | string;
}

export interface TopUpRow {
  readonly id: string;
  readonly status: string;
  readonly amount_minor: Amount;
  readonly order_no: string | null;
  readonly attempts: number | string;
  readonly credited_at: Instant;
  readonly refunded_at: Instant;
}

export interface MemberRow {
  readonly id: string;
  readonly currency: string;
  readonly balance_minor: Amount;
}

/** A line of the money log. */
export interface MemberEntryRow {
  readonly cause_id: string;
  readonly kind: string;
  readonly member_id: string;
  readonly currency: string;
  readonly amount_minor: Amount;
}

export interface CaseRow {
  readonly task_id: string;
  readonly case_no: number | string;
  readonly reason: string;
  readonly attempt_no: number | string;
  readonly closed_at: Instant;
}

export interface InFlightRow {
  readonly task_id: string;
  readonly seq: number | string;
  readonly wake_at: Instant;
}

export interface RepaymentRow {
  readonly id: string;
  readonly due_minor: Amount;
  readonly paid_minor: Amount;
  readonly collecting_minor: Amount;
}

export interface OutboxRow {
  readonly topic: string;
  readonly message_key: string;
}

/** One entry of the books, of whatever message. */
export interface PostedRow {
  readonly topic: string;
  readonly message_key: string;
  readonly amount_minor: Amount;
}

/** The totals of an account of the ledger. */
export interface AccountRow {
  readonly account: string;
  readonly debit_minor: Amount;
  readonly credit_minor: Amount;
}

/** A caller's request under its key, and under which name it was accepted. */
export interface ToldRow {
  readonly kind: 'deposit' | 'withdrawal' | 'top_up';
  readonly key: string;
  /** Null: the caller never heard. */
  readonly id: string | null;
  readonly amountMinor: bigint;
}

export interface Evidence {
  readonly books: readonly BookedOrder[];
  /** In order of task and seq. */
  readonly log: readonly LogRow[];
  readonly deductions: readonly DeductionRow[];
  readonly attempts: readonly AttemptRow[];
  readonly cases: readonly CaseRow[];
  /** Exactly the tasks that have not ended. */
  readonly inFlight: readonly InFlightRow[];
  readonly repayments: readonly RepaymentRow[];
  readonly outbox: readonly OutboxRow[];
  readonly refunds: readonly RefundRow[];
  /** Absent where nobody looked. */
  readonly withdrawals?: readonly WithdrawalRow[];
  readonly topUps?: readonly TopUpRow[];
  readonly members?: readonly MemberRow[];
  readonly memberEntries?: readonly MemberEntryRow[];
  /** Absent where nobody looked into the books. Messages that are dead letters are a person's. */
  readonly posted?: readonly PostedRow[];
  readonly deadLetters?: readonly OutboxRow[];
  readonly accounts?: readonly AccountRow[];
  /** Absent where not all of the callers are known. Requests that were refused are left out. */
  readonly told?: readonly ToldRow[];
  /**
   * Nothing is under way any more: no request in a wire, no capture to come, no run. What was
   * captured must then be known to us. While work goes on, an unheard capture is no finding.
   */
  readonly quiet: boolean;
}
