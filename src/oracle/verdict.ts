export type ViolationKind =
  /** Captured under two order numbers of one deduction, twice under one by our doing, or more than due. */
  | 'double_charged'
  /** Captured, and no succeeded deduction, live task or open case of ours accounts for it. */
  | 'lost'
  /** A channel has an order that our log never announced. */
  | 'unannounced'
  /** We say that it was collected; the channel has no capture. */
  | 'not_captured'
  /** We say that the order is dead; the channel captured it. */
  | 'dead_but_captured'
  /** All is quiet, it was captured, and our log has no outcome and no case. */
  | 'open_but_captured'
  | 'amount_differs'
  /** A log has a gap, or starts otherwise than with `accepted`. */
  | 'gap'
  /** An entry that may not stand where it stands. */
  | 'edge'
  /** A terminal state moved without evidence, or twice. */
  | 'terminal_moved'
  /** Two attempts of a task, or two deductions for a repayment, are live at once. */
  | 'two_live'
  /** An answer that contradicts what we know was laid before nobody. */
  | 'not_shown'
  /** The tables and the log tell different stories. */
  | 'tables_differ'
  /** A repayment's paid or collecting amount is not the sum of its deductions, or above what is due. */
  | 'repayment_differs'
  /** Unfinished, with no wake-up, no schedule and no person. */
  | 'abandoned'
  /** More was paid back than one refund's amount, or than the capture it goes back on. */
  | 'refunded_twice'
  /** A case was closed by a decision, and what was decided has not come about. */
  | 'decision_without_effect'
  /** Money of one withdrawal left us twice: paid out twice, or paid out and given back. */
  | 'double_paid'
  /** A debit was undone twice. */
  | 'restored_twice'
  /** A card got one top-up twice. */
  | 'double_credited'
  /** A payment went back while its credit stands. */
  | 'wrongly_refunded'
  /** A card was credited with what nobody had paid. */
  | 'credited_unpaid'
  /** A customer could pay before the card system had recorded for what. */
  | 'paid_unrecorded'
  /** A member's balance, or the money log, is not what deposits and withdrawals make of it. */
  | 'balance_differs'
  /**
   * The books lack a message, have one twice, with another amount, or that nobody sent; or an account's
   * total is not what the other side's book makes of it.
   */
  | 'books_differ'
  /** A caller was told of what is not there, or something is there that nobody was told of. */
  | 'told_otherwise'
  /** The ledger has no message of a settlement, or one too many. */
  | 'ledger_differs';

export interface Violation {
  readonly kind: ViolationKind;
  /** A deduction, a repayment or an order number. */
  readonly about: string;
  readonly detail: string;
}

export interface Verdict {
  readonly violations: readonly Violation[];
  /** Different things that a kind of violation is about. */
  readonly count: (kind: ViolationKind) => number;
  readonly agree: boolean;
  /** Orders that a channel captured more than once by itself. */
  readonly doubledByChannel: readonly string[];
  readonly ordersCompared: number;
  readonly capturedMinor: bigint;
}
