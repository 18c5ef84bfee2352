import type { RejectionCode, RouteRejection, RouteRequest } from '../engine/route.js';
import { maintenanceFor, type MaintenanceVerdict } from './maintenance.js';
import { yuan } from './reason.js';
import type { AmountLimits, ChannelTerms } from './terms.js';
import type { RoutingWorld } from './world.js';

/** Either why the channel cannot take this deduction, or what the ranking wants to know of it. */
export type Eligibility =
  | { readonly kind: 'eligible'; readonly maintenance: MaintenanceVerdict }
  | { readonly kind: 'rejected'; readonly rejection: RouteRejection };

/**
 * The filters, in the order in which a person would want to hear of them: what holds for this task,
 * what an operator decided, what never changes, what changes with the day, the hour and the minute.
 * The first that refuses gives the reason.
 */
export function eligibilityOf(
  terms: ChannelTerms,
  request: RouteRequest,
  world: RoutingWorld,
): Eligibility {
  const { bankCode, currency } = request;
  if (request.exclude.includes(terms.channelId)) {
    return refuse(terms, 'already_tried', 'this deduction was already tried here');
  }
  if (terms.paused) return refuse(terms, 'paused', 'paused by an operator');
  const bankLimits = terms.banks.get(bankCode);
  if (bankLimits === undefined) {
    return refuse(terms, 'bank_unsupported', `${bankCode} is not supported here`);
  }
  if (!terms.currencies.has(currency)) {
    return refuse(terms, 'currency_unsupported', `${currency} is not accepted here`);
  }
  return (
    overAmountLimits(terms, bankLimits, request) ??
    overDailyLimits(terms, bankLimits, request, world) ??
    byTheMinute(terms, world)
  );
}

function overAmountLimits(
  terms: ChannelTerms,
  bankLimits: AmountLimits,
  { amountMinor, bankCode }: RouteRequest,
): Eligibility | null {
  const min = terms.perTransactionMinMinor;
  if (min !== null && amountMinor < min) {
    const reason = `${yuan(amountMinor)} is below the minimum of ${yuan(min)}`;
    return refuse(terms, 'below_minimum', reason);
  }
  const limit = tighter(
    terms.limits.perTransactionMaxMinor,
    bankLimits.perTransactionMaxMinor,
    bankCode,
  );
  if (limit === null || amountMinor <= limit.minor) return null;
  const over = `${yuan(amountMinor)} is over ${limit.whose} limit of ${yuan(limit.minor)}`;
  return refuse(terms, 'per_transaction_limit', `${over} a transaction`);
}

function overDailyLimits(
  terms: ChannelTerms,
  bankLimits: AmountLimits,
  { amountMinor, bankCode }: RouteRequest,
  world: RoutingWorld,
): Eligibility | null {
  const channelMax = terms.limits.dailyMaxMinor;
  const bankMax = bankLimits.dailyMaxMinor;
  if (channelMax === null && bankMax === null) return null;
  const usage = world.usage.get(terms.channelId);
  // The tighter of the two is the one with less left today, not the one with the smaller figure.
  const limit = tighter(
    channelMax === null ? null : channelMax - (usage?.totalMinor ?? 0n),
    bankMax === null ? null : bankMax - (usage?.byBank.get(bankCode) ?? 0n),
    bankCode,
  );
  if (limit === null || amountMinor <= limit.minor) return null;
  const left = limit.minor > 0n ? limit.minor : 0n;
  const over = `${yuan(amountMinor)} is over the ${yuan(left)} left today`;
  return refuse(terms, 'daily_limit', `${over} of ${limit.whose} daily limit`);
}

function byTheMinute(terms: ChannelTerms, world: RoutingWorld): Eligibility {
  const maintenance = maintenanceFor(terms, world.nowMs);
  if (maintenance.kind === 'closed') {
    const { window, began } = maintenance;
    const reason = began
      ? `closed for maintenance, ${window.text}`
      : `about to close for maintenance, ${window.text}`;
    return refuse(terms, 'maintenance', reason);
  }
  const breaker = world.breakers.get(terms.channelId);
  if (breaker?.kind === 'open') {
    const seconds = Math.max(1, Math.ceil((breaker.untilMs - world.nowMs) / 1000));
    return refuse(terms, 'breaker_open', `${breaker.why}; next trial in ${seconds} s`);
  }
  if (breaker?.kind === 'half_open' && breaker.trialsLeft <= 0) {
    return refuse(terms, 'breaker_open', `${breaker.why}; its trials are under way`);
  }
  return { kind: 'eligible', maintenance };
}

/** At equal figures the channel's own limit is named: it holds for more deductions. */
function tighter(
  channel: bigint | null,
  bank: bigint | null,
  bankCode: string,
): { readonly minor: bigint; readonly whose: string } | null {
  if (bank !== null && (channel === null || bank < channel)) {
    return { minor: bank, whose: `${bankCode}'s` };
  }
  return channel === null ? null : { minor: channel, whose: "the channel's" };
}

function refuse(terms: ChannelTerms, code: RejectionCode, reason: string): Eligibility {
  return { kind: 'rejected', rejection: { channelId: terms.channelId, code, reason } };
}
