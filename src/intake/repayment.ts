import type { BankAccount } from '../engine/order.js';
import type { RepaymentId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';

/** An instalment a borrower owes. */
export interface Repayment {
  readonly id: RepaymentId;
  readonly borrowerId: string;
  readonly currency: Currency;
  readonly dueMinor: AmountMinor;
  readonly paidMinor: AmountMinor;
  /** What the one live deduction may still take. */
  readonly collectingMinor: AmountMinor;
  /** Business date, YYYY-MM-DD. */
  readonly dueDate: string;
  readonly account: BankAccount;
}

export type NewRepayment = Omit<Repayment, 'paidMinor' | 'collectingMinor'>;

/** Whether a registered repayment is the one described: what makes registering again harmless. */
export function sameRepayment(known: Repayment, described: NewRepayment): boolean {
  return (
    known.borrowerId === described.borrowerId &&
    known.currency === described.currency &&
    known.dueMinor === described.dueMinor &&
    known.dueDate === described.dueDate &&
    known.account.token === described.account.token &&
    known.account.bankCode === described.account.bankCode
  );
}

/** The registered repayments. `store/` provides it. */
export interface Repayments {
  find(id: RepaymentId): Promise<Repayment | null>;
  findMany(ids: readonly RepaymentId[]): Promise<ReadonlyMap<RepaymentId, Repayment>>;
  /** Registers those that are not there yet; an existing one is left as it is. */
  register(repayments: readonly NewRepayment[], nowMs: number): Promise<void>;
}
