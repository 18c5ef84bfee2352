import type { ChannelId, TaskId } from '../ids.js';
import type { AmountMinor, Currency } from '../money.js';
import type { BankAccount, ChannelNature } from './order.js';

/** The one channel that can do a step, and how it is judged; frozen when the task is accepted. */
export interface Party {
  readonly channelId: ChannelId;
  readonly nature: ChannelNature;
  readonly orderTtlMs: number;
}

/** One request to pay a member's balance out to a bank account. */
export interface Withdrawal {
  readonly id: TaskId;
  readonly memberId: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  /** Where the money goes. */
  readonly account: BankAccount;
  /**
   * Where it is taken from: null is the member's balance in our own tables, taken in the transaction
   * that accepts the withdrawal; else an account at a remote service, debited by an order.
   */
  readonly funding: { readonly party: Party; readonly account: BankAccount } | null;
  /** Unique among all withdrawals: the same request twice is the same withdrawal. */
  readonly requestKey: string;
  /** Digest of what was asked, to tell a repeated request from another under the same key. */
  readonly requestDigest: string;
  /** No new order to take or pay money starts after this. */
  readonly attemptUntilMs: number;
}

/** One request to put money on a stored-value card, paid from a bank account. */
export interface TopUp {
  readonly id: TaskId;
  readonly customerId: string;
  /** What the customer pays. */
  readonly amountMinor: AmountMinor;
  /** What the card gets for it, bonus included, by the rule of that name: frozen before anyone pays. */
  readonly creditMinor: AmountMinor;
  readonly rule: string;
  readonly currency: Currency;
  readonly payer: BankAccount;
  readonly card: BankAccount;
  readonly cards: Party;
  readonly requestKey: string;
  readonly requestDigest: string;
  /** No new order to record or to pay starts after this. */
  readonly attemptUntilMs: number;
  /**
   * How long after the payment a credit is insisted on, ms. After it, what the card system does not
   * say it has credited is voided there, and the payment given back.
   */
  readonly settleAfterMs: number;
}
