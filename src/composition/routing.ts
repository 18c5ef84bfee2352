/** The channels as they are configured and as they fare, and the router over both. */
import { ChannelDirectory } from '../channels/directory.js';
import type { ChannelObserver } from '../channels/observed.js';
import {
  isRouted,
  natureOf,
  offers,
  orderTtlMsOf,
  payoutTermsOf,
  type ChannelProfile,
} from '../channels/profile.js';
import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import type { Meters } from '../metrics/meters.js';
import { LiveHealth } from '../routing/live-health.js';
import { LiveRouter, liveRouterDefaults } from '../routing/live-router.js';
import { observationOf } from '../routing/observation.js';
import { termsOf, type ChannelTerms } from '../routing/terms.js';
import type { CallStore } from '../store/calls.js';
import type { ChannelStore } from '../store/channels.js';
import { leaseMarginMs, type Basics } from './surroundings.js';

/** The channels' configuration is read again this often: a pause takes effect within it. */
const refreshMs = 5_000;

export interface RoutingParts {
  readonly channels: ChannelStore;
  readonly calls: CallStore;
  readonly meters: Meters | null;
}

export interface Routing {
  readonly health: RoutingHealth;
  readonly directory: ChannelDirectory;
  readonly router: LiveRouter;
  readonly close: () => Promise<void>;
}

export function openRouting({ config, env, clock, log }: Basics, parts: RoutingParts): Routing {
  const { channels, calls, meters } = parts;
  const health = new RoutingHealth(clock);
  const directory = new ChannelDirectory(
    channels,
    env,
    observers(health.observer, meters?.call),
    clock,
    log,
    config.lockLeaseMs * 0.99 - leaseMarginMs,
    (call) => calls.record(call),
  );
  const settings = { ...liveRouterDefaults, zone: config.businessZone };
  const terms = termsFrom(directory);
  const router = new LiveRouter(terms, health.charges, channels, clock, settings, health.payouts);
  const refresh = refreshing(directory, log);
  return {
    health,
    directory,
    router,
    async close() {
      clearInterval(refresh);
      await directory.close();
    },
  };
}

function refreshing(directory: ChannelDirectory, log: Log): NodeJS.Timeout {
  return setInterval(() => {
    directory.refresh().catch((error: unknown) => {
      log.warn('channels not read again', { why: String(error) });
    });
  }, refreshMs).unref();
}

const observers = (first: ChannelObserver, second?: ChannelObserver): ChannelObserver =>
  second === undefined
    ? first
    : (observed) => {
        first(observed);
        second(observed);
      };

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
