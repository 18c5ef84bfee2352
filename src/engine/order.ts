import type { AmountMinor, Currency } from '../money.js';
import type { ChannelId, OrderNo } from '../ids.js';

/** A borrower's bank account. Never a card number: a token, the bank and the last four digits. */
export interface BankAccount {
  readonly token: string;
  readonly bankCode: string;
  readonly last4: string;
}

/**
 * What an order asks its channel to do. A card system and a remote account service are called through
 * the same port as payment channels, so what they do is on the list as well.
 */
export const operations = [
  /** Take money from a bank account. */
  'charge',
  /** Give back what a charge took. */
  'refund',
  /** Pay money out to a bank account. */
  'payout',
  /** Take from a balance at a remote account service; `restore` undoes it. */
  'debit',
  'restore',
  /** Record at the card system, before anyone pays, what a payment will buy. */
  'pre_recharge',
  /** Put on the card what was pre-recharged. */
  'credit',
  /** End a pre-recharge so that it can never be credited. */
  'void',
] as const;
export type Operation = (typeof operations)[number];

/**
 * The business fields of one order at one channel. They are committed with the intent to charge and
 * never change: sending an order again sends the same bytes.
 */
export interface Order {
  readonly orderNo: OrderNo;
  /** What the channel is to do; absent: charge. */
  readonly operation?: Exclude<Operation, 'charge'>;
  /** Of a refund: the captured order that it gives back. */
  readonly refundOf?: { readonly orderNo: OrderNo; readonly channelRef: string };
  /** The earlier order that a credit or a void (its pre-recharge), or a restore (its debit), is about. */
  readonly regarding?: { readonly orderNo: OrderNo; readonly channelRef: string };
  /** Of a pre-recharge and its credit: what the card gets, bonus included, and by which rule. */
  readonly topUp?: { readonly creditMinor: AmountMinor; readonly rule: string };
  readonly channelId: ChannelId;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly account: BankAccount;
  /** When the intent was recorded, ms since the epoch. Sent as the order's time. */
  readonly createdAtMs: number;
  /** After this the channel must refuse to start the order (where it honours expiry). */
  readonly expiresAtMs: number;
}

export const operationOf = (order: Order): Operation => order.operation ?? 'charge';

/**
 * What the flow must know of a channel to judge an unknown outcome. Copied from the profile into the
 * intent, so that a later change of the profile cannot change how an old order is judged.
 */
export interface ChannelNature {
  /** The same order number, byte-identical, may be sent again: the channel executes it once. */
  readonly idempotent: boolean;
  /** The channel refuses to start an order after the order's own expiry. */
  readonly honoursExpiry: boolean;
  /**
   * `refuses_unseen`: a confirmed close means that this number is refused for ever, even if the
   * channel had never seen it. `none`: the channel cannot close, or its close proves nothing.
   */
  readonly closeProof: 'none' | 'refuses_unseen';
  /** How long after it is started an order may still be invisible to a query, ms, skew included. */
  readonly visibilityMs: number;
  /** Pauses before each ask about an outcome, ms. When they are used up, a case is opened. */
  readonly pollScheduleMs: readonly number[];
}
