/**
 * Members and their balances, where Recoup keeps them. What moves a balance stands in the money log,
 * each cause once; the balance is its sum, never below zero.
 */
import type { AmountMinor, Currency } from '../money.js';

export interface Member {
  readonly id: string;
  readonly currency: Currency;
  /** What is left: withdrawals under way have been taken from it. */
  readonly balanceMinor: AmountMinor;
  readonly createdAt: Date;
}

export interface MemberEntry {
  /** The deposit's own id, or the withdrawal's. */
  readonly causeId: string;
  readonly kind: 'deposited' | 'withdrawn' | 'given_back';
  /** Signed: below zero is taken. */
  readonly amountMinor: bigint;
  readonly at: Date;
}

export interface Deposit {
  /** The business system's own id of what was paid in: the same id again is the same deposit. */
  readonly causeId: string;
  readonly memberId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
}

/** `store/` provides it. */
export interface Members {
  /** Opens an account; one that is there is left as it is. False: it was there. */
  open(id: string, currency: Currency, nowMs: number): Promise<boolean>;
  find(id: string, currency: Currency): Promise<Member | null>;
  /** The money log, newest first. */
  entries(id: string, currency: Currency, limit: number): Promise<readonly MemberEntry[]>;
  /**
   * Adds to a balance and writes the money log, in one transaction.
   *
   * @returns `known`: this deposit had been made before, and nothing moved.
   * @throws RecoupError `member_unknown`; `deposit_differs`: another deposit was made under this id.
   */
  deposit(deposit: Deposit, nowMs: number): Promise<'made' | 'known'>;
}
