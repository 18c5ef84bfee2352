import { timeOfDayMs } from '../business-date.js';
import type { ChannelNature } from '../engine/order.js';
import type { ChannelId } from '../ids.js';

/**
 * What the router must know of a channel, in the shape it computes with. Made once, when a profile is
 * loaded, so that nothing is parsed for each of ten thousand plans a second.
 */
export interface ChannelTerms extends OperationTerms {
  /** It only pays out. */
  readonly chargesNobody?: true;
  /** What differs for payouts; absent: it pays nothing out. */
  readonly payouts?: OperationTerms;
  /** It gives back what it took, on request. */
  readonly refunds?: true;
}

/** The same for charges and for payouts, each with its own figures. */
export interface OperationTerms {
  readonly channelId: ChannelId;
  /** 1 is tried first. */
  readonly tier: number;
  readonly paused: boolean;
  readonly currencies: ReadonlySet<string>;
  readonly perTransactionMinMinor: bigint | null;
  readonly limits: AmountLimits;
  /** The banks it supports, each with its own limits at this channel. */
  readonly banks: ReadonlyMap<string, AmountLimits>;
  readonly fees: FeeTerms;
  readonly maintenance: readonly MaintenanceWindow[];
  /** How long placing an order may take. */
  readonly chargeMs: number;
  readonly orderTtlMs: number;
  readonly nature: ChannelNature;
}

/** `null`: no limit. A limit is the largest amount still allowed. */
export interface AmountLimits {
  readonly perTransactionMaxMinor: bigint | null;
  readonly dailyMaxMinor: bigint | null;
}

export interface FeeTerms {
  readonly flatMinor: bigint;
  readonly basisPoints: bigint;
  readonly maxMinor: bigint | null;
}

/** Closed from `fromMs` up to, not including, `toMs`, both ms since midnight by the zone's clock. */
export interface MaintenanceWindow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly zone: string;
  /** `23:30 to 00:30 Asia/Shanghai`, for reasons. */
  readonly text: string;
}

/** What holds for what is asked; undefined where the channel does not do that. */
export const termsFor = (
  terms: ChannelTerms,
  operation: 'charge' | 'payout',
): OperationTerms | undefined => {
  if (operation === 'payout') return terms.payouts;
  return terms.chargesNobody === true ? undefined : terms;
};

interface ProfileLimits {
  readonly per_transaction_max_minor?: bigint | undefined;
  readonly daily_max_minor?: bigint | undefined;
}

interface ProfileTerms {
  readonly limits: ProfileLimits & { readonly per_transaction_min_minor?: bigint | undefined };
  readonly banks: Readonly<Record<string, ProfileLimits>>;
  readonly fees: {
    readonly flat_minor: bigint;
    readonly basis_points: number;
    readonly max_minor?: bigint | undefined;
  };
}

/** The part of a channel's profile that routing reads; a `ChannelProfile` is one. */
export interface RoutedProfile extends ProfileTerms {
  readonly id: ChannelId;
  readonly tier: number;
  readonly paused: boolean;
  readonly currencies: readonly string[];
  readonly operations?: readonly string[];
  readonly can_refund?: boolean;
  readonly maintenance: readonly {
    readonly from: string;
    readonly to: string;
    readonly zone: string;
  }[];
  readonly timeouts: { readonly charge_ms: number };
  readonly nature: { readonly order_ttl_ms: number };
}

/** What the channels know of payouts at a channel. */
export interface PayoutTerms extends ProfileTerms {
  readonly nature: ChannelNature;
  readonly orderTtlMs: number;
}

/**
 * @param nature what the order's intent will carry; `natureOf(profile)` of the channels.
 * @param payouts null where the channel pays nothing out.
 * @throws RangeError when a maintenance window names a zone that is not known: better when the
 *   profile is loaded than when a deduction is routed.
 */
export function termsOf(
  profile: RoutedProfile,
  nature: ChannelNature,
  payouts: PayoutTerms | null = null,
): ChannelTerms {
  const shared = {
    channelId: profile.id,
    tier: profile.tier,
    paused: profile.paused,
    currencies: new Set(profile.currencies),
    maintenance: profile.maintenance.map(windowOf),
    chargeMs: profile.timeouts.charge_ms,
  };
  const charges = { ...shared, ...figuresOf(profile), nature };
  const orderTtlMs = profile.nature.order_ttl_ms;
  const chargesNobody = profile.operations?.includes('charge') === false;
  return {
    ...charges,
    orderTtlMs,
    ...(chargesNobody && { chargesNobody }),
    ...(profile.can_refund === true && { refunds: true }),
    ...(payouts && {
      payouts: {
        ...shared,
        ...figuresOf(payouts),
        nature: payouts.nature,
        orderTtlMs: payouts.orderTtlMs,
      },
    }),
  };
}

const figuresOf = ({ limits, banks, fees }: ProfileTerms) => ({
  perTransactionMinMinor: limits.per_transaction_min_minor ?? null,
  limits: limitsOf(limits),
  banks: new Map(Object.entries(banks).map(([code, own]) => [code, limitsOf(own)])),
  fees: {
    flatMinor: fees.flat_minor,
    basisPoints: BigInt(fees.basis_points),
    maxMinor: fees.max_minor ?? null,
  },
});

function limitsOf(limits: ProfileLimits): AmountLimits {
  return {
    perTransactionMaxMinor: limits.per_transaction_max_minor ?? null,
    dailyMaxMinor: limits.daily_max_minor ?? null,
  };
}

function windowOf(window: RoutedProfile['maintenance'][number]): MaintenanceWindow {
  const { from, to, zone } = window;
  timeOfDayMs(0, zone);
  return { fromMs: clockMs(from), toMs: clockMs(to), zone, text: `${from} to ${to} ${zone}` };
}

/** "23:30" -> 84,600,000. */
function clockMs(text: string): number {
  const [hours, minutes] = text.split(':').map(Number);
  const ms = ((hours ?? Number.NaN) * 60 + (minutes ?? Number.NaN)) * 60_000;
  if (Number.isNaN(ms)) throw new RangeError(`not a time of day: ${JSON.stringify(text)}`);
  return ms;
}
