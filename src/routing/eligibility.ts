import type { RejectionCode, RouteRejection, RouteRequest } from '../engine/route.js';
import { maintenanceFor, type MaintenanceVerdict } from './maintenance.js';
import { yuan } from './reason.js';
import { termsFor, type AmountLimits, type ChannelTerms, type OperationTerms } from './terms.js';
import type { RoutingWorld } from './world.js';

/** Either why the channel cannot do this, or what the ranking wants to know of it. */
export type Eligibility =
  | {
      readonly kind: 'eligible';
      readonly terms: OperationTerms;
      readonly maintenance: MaintenanceVerdict;
    }
  | { readonly kind: 'rejected'; readonly rejection: RouteRejection };

/**
 * The filters, in the order in which a person would want to hear of them: what holds for this task,
 * what an operator decided, what never changes, what changes with the day, the hour and the minute.
 * The first that refuses gives the reason.
 */
export function eligibilityOf(
  channel: ChannelTerms,
  request: RouteRequest,
  world: RoutingWorld,
): Eligibility {
  const { bankCode, currency, operation = 'charge' } = request;
  if (request.exclude.includes(channel.channelId)) {
    const what = operation === 'charge' ? 'deduction' : operation;
    return refuse(channel, 'already_tried', `this ${what} was already tried here`);
  }
  const terms = termsFor(channel, operation);
  if (terms === undefined) {
    return operation === 'payout'
      ? refuse(channel, 'payout_unsupported', 'it pays nothing out')
      : refuse(channel, 'charge_unsupported', 'it only pays out');
  }
  if (request.refundable === true && channel.refunds !== true) {
    return refuse(channel, 'refund_unsupported', 'it does not give back what it takes');
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
  terms: OperationTerms,
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
  terms: OperationTerms,
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

function byTheMinute(terms: OperationTerms, world: RoutingWorld): Eligibility {
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
  return { kind: 'eligible', terms, maintenance };
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

function refuse(terms: OperationTerms, code: RejectionCode, reason: string): Eligibility {
  return { kind: 'rejected', rejection: { channelId: terms.channelId, code, reason } };
}
