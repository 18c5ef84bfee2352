import type { AmountMinor, Currency } from '../money.js';
import type { ChannelId, TaskId } from '../ids.js';
import type { ChannelNature } from './order.js';

export interface RouteRequest {
  /** What the channel is to do; absent: charge. */
  readonly operation?: 'payout';
  /** Only channels that can give back what they take. */
  readonly refundable?: true;
  readonly taskId: TaskId;
  readonly bankCode: string;
  readonly amountMinor: AmountMinor;
  readonly currency: Currency;
  /** Channels that this task has already tried, with a dead attempt each. */
  readonly exclude: readonly ChannelId[];
}

/** The ranked list of channels for one deduction, best first, with every reason. */
export interface Route {
  readonly places: readonly RoutePlace[];
  readonly rejected: readonly RouteRejection[];
}

export interface RoutePlace {
  readonly channelId: ChannelId;
  readonly reason: string;
  readonly expectedCostMinor: number;
  readonly orderTtlMs: number;
  readonly nature: ChannelNature;
}

export type RejectionCode =
  | 'charge_unsupported'
  | 'payout_unsupported'
  | 'refund_unsupported'
  | 'bank_unsupported'
  | 'currency_unsupported'
  | 'below_minimum'
  | 'per_transaction_limit'
  | 'daily_limit'
  | 'maintenance'
  | 'paused'
  | 'breaker_open'
  | 'already_tried';

export interface RouteRejection {
  readonly channelId: ChannelId;
  readonly code: RejectionCode;
  readonly reason: string;
}
