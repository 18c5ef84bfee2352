import type { AmountMinor, Currency } from '../money.js';
import type { ChannelId, OrderNo } from '../ids.js';

/** A borrower's bank account. Never a card number: a token, the bank and the last four digits. */
export interface BankAccount {
  readonly token: string;
  readonly bankCode: string;
  readonly last4: string;
}

/**
 * The business fields of one order at one channel. They are committed with the intent to charge and
 * never change: sending an order again sends the same bytes.
 */
export interface Order {
  readonly orderNo: OrderNo;
  /** What the channel is to do; absent: charge. */
  readonly operation?: 'refund';
  /** Of a refund: the captured order that it gives back. */
  readonly refundOf?: { readonly orderNo: OrderNo; readonly channelRef: string };
  readonly channelId: ChannelId;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  readonly account: BankAccount;
  /** When the intent was recorded, ms since the epoch. Sent as the order's time. */
  readonly createdAtMs: number;
  /** After this the channel must refuse to start the order (where it honours expiry). */
  readonly expiresAtMs: number;
}

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
