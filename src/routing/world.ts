import type { ChannelId } from '../ids.js';
import type { BreakerStanding } from './breaker.js';
import type { Tally } from './health.js';
import type { ChannelTerms } from './terms.js';

/**
 * Everything a plan depends on besides the deduction itself, as values: the same request in the same
 * world gives the same plan, so that a plan can be previewed and replayed.
 */
export interface RoutingWorld {
  /** Wall clock, ms since the epoch. */
  readonly nowMs: number;
  /** Each channel once. */
  readonly channels: readonly ChannelTerms[];
  readonly usage: UsageView;
  readonly health: HealthView;
  readonly breakers: BreakerView;
  /** What a charge that does not succeed is reckoned to cost, minor units: the time, the next try. */
  readonly penaltyMinor: number;
  /** Share of deductions, 0 to 1, that try a channel which is losing. */
  readonly probeShare: number;
}

/**
 * Amounts on today's business date. They must hold every attempt that may yet take money (intended,
 * pending, unknown), not only those that succeeded, or a limit is passed by what is under way.
 * A channel or bank that is absent has used nothing.
 */
export type UsageView = ReadonlyMap<ChannelId, ChannelUsage>;

export interface ChannelUsage {
  readonly totalMinor: bigint;
  readonly byBank: ReadonlyMap<string, bigint>;
}

/** What was seen lately of each channel with each bank; absent where nothing was. */
export type HealthView = ReadonlyMap<ChannelId, ReadonlyMap<string, Tally>>;

/** Only channels whose breaker is not closed. */
export type BreakerView = ReadonlyMap<ChannelId, BreakerStanding>;
