import type { Clock } from '../clock.js';
import type { ChannelDirectory } from '../channels/directory.js';
import type { ChannelObserver } from '../channels/observed.js';
import {
  isRouted,
  natureOf,
  offers,
  orderTtlMsOf,
  payoutTermsOf,
  type ChannelProfile,
} from '../channels/profile.js';
import { LiveHealth } from '../routing/live-health.js';
import { observationOf } from '../routing/observation.js';
import { termsOf, type ChannelTerms } from '../routing/terms.js';

/** What the channels' answers say of how charges fare there, and of how payouts do. */
export class RoutingHealth {
  readonly charges = new LiveHealth();
  readonly payouts = new LiveHealth();

  constructor(private readonly clock: Clock) {}

  /** Refunds, closes and the orders of card systems and account services are no evidence of either. */
  readonly observer: ChannelObserver = ({ channelId, bankCode, operation, answer }) => {
    // Only a close answers `closed` or `refused`.
    if (answer.kind === 'closed' || answer.kind === 'refused') return;
    const atMs = this.clock.nowMs();
    const seen = (via: 'charge' | 'later') =>
      observationOf(answer, { channelId, bankCode, via, atMs });
    switch (operation) {
      case 'charge':
        return this.charges.observe(seen('charge'));
      case 'query':
        return this.charges.observe(seen('later'));
      case 'payout':
        return this.payouts.observe(seen('charge'));
      case 'query_payout':
        return this.payouts.observe(seen('later'));
      default:
    }
  };
}

/** The terms are made once a revision: plans are many, changes are few. */
export function termsFrom(
  directory: Pick<ChannelDirectory, 'revision' | 'profiles'>,
): () => readonly ChannelTerms[] {
  let revision = -1;
  let terms: readonly ChannelTerms[] = [];
  return () => {
    if (directory.revision !== revision) {
      revision = directory.revision;
      terms = directory.profiles().filter(isRouted).map(routedTerms);
    }
    return terms;
  };
}

export function routedTerms(profile: ChannelProfile): ChannelTerms {
  const payouts = offers(profile, 'payout')
    ? {
        ...payoutTermsOf(profile),
        nature: natureOf(profile, 'payout'),
        orderTtlMs: orderTtlMsOf(profile, 'payout'),
      }
    : null;
  return termsOf(profile, natureOf(profile), payouts);
}
