import { assertNever } from '../assert.js';
import type { Tally } from './health.js';

/**
 * A channel's breaker keeps *new orders* away from a channel that is not answering. It never touches
 * an order already placed: queries, closes and callbacks do not ask it, and only the replies to
 * placing orders move it. (Were queries to count, a channel that answers queries but loses charges
 * would never be found out.)
 *
 *             N failures running, or too large a share
 *   closed ───────────────────────────────────────────→ open
 *     ↑                                                 │  ↑
 *     │ enough trials answered      its time has passed │  │ a trial failed: open again,
 *     └──────────────────────────── half_open ←─────────┘  │ twice as long, up to a bound
 *                                       └──────────────────┘
 *
 * Nothing here has a timer: `open` becomes `half_open` when somebody looks after its time.
 */
export type Breaker =
  | { readonly kind: 'closed'; readonly failuresRunning: number }
  | {
      readonly kind: 'open';
      readonly untilMs: number;
      /** How often it opened without closing in between: the exponent of the next pause. */
      readonly opens: number;
      readonly why: string;
    }
  | {
      readonly kind: 'half_open';
      readonly opens: number;
      readonly why: string;
      /** Trials that were let through and have not been answered. */
      readonly trialsOut: number;
      readonly lastTrialAtMs: number;
      readonly passes: number;
    };

export type BreakerEvent =
  /** The channel answered a charge definitely, whatever it said. */
  | { readonly kind: 'answered' }
  /** A charge ended without an answer. `recent` counts it already. */
  | { readonly kind: 'failed'; readonly recent: Tally }
  /** A new order is about to be placed. */
  | { readonly kind: 'trial' };

export interface BreakerSettings {
  readonly failuresRunningMax: number;
  /** Opens at this share of failures, of at least `shareOutcomesMin` outcomes. */
  readonly failureShareMax: number;
  readonly shareOutcomesMin: number;
  readonly openMsMin: number;
  readonly openMsMax: number;
  /** Trials under way at once. */
  readonly trialsMax: number;
  /** Answers that close it again. */
  readonly passesMin: number;
  /** A trial not heard of for so long is given up: its run ended between the plan and the charge. */
  readonly trialMsMax: number;
}

/**
 * Five running: at a healthy 97 % an accident of one in forty million. Half of twenty: a channel that
 * loses every second charge costs more than any other. Five seconds outlasts a restart of a load
 * balancer; five minutes is the longest that recovery goes unseen.
 */
export const breakerDefaults: BreakerSettings = {
  failuresRunningMax: 5,
  failureShareMax: 0.5,
  shareOutcomesMin: 20,
  openMsMin: 5_000,
  openMsMax: 300_000,
  trialsMax: 3,
  passesMin: 3,
  trialMsMax: 60_000,
};

export const closedBreaker: Breaker = { kind: 'closed', failuresRunning: 0 };

/** What the router sees. A closed breaker has nothing to say. */
export type BreakerStanding =
  | { readonly kind: 'open'; readonly untilMs: number; readonly why: string }
  | { readonly kind: 'half_open'; readonly trialsLeft: number; readonly why: string };

/** The breaker as it is at `nowMs`, before anything happens to it. */
function breakerAt(breaker: Breaker, nowMs: number, settings: BreakerSettings): Breaker {
  switch (breaker.kind) {
    case 'closed':
      return breaker;
    case 'open':
      if (nowMs < breaker.untilMs) return breaker;
      return {
        kind: 'half_open',
        opens: breaker.opens,
        why: breaker.why,
        trialsOut: 0,
        lastTrialAtMs: nowMs,
        passes: 0,
      };
    case 'half_open':
      if (breaker.trialsOut === 0) return breaker;
      if (nowMs < breaker.lastTrialAtMs + settings.trialMsMax) return breaker;
      return { ...breaker, trialsOut: 0 };
    default:
      return assertNever(breaker);
  }
}

export function stepBreaker(
  before: Breaker,
  event: BreakerEvent,
  nowMs: number,
  settings: BreakerSettings = breakerDefaults,
): Breaker {
  const breaker = breakerAt(before, nowMs, settings);
  switch (event.kind) {
    case 'answered':
      return afterAnswer(breaker, settings);
    case 'failed':
      return afterFailure(breaker, event.recent, nowMs, settings);
    case 'trial':
      if (breaker.kind !== 'half_open' || breaker.trialsOut >= settings.trialsMax) return breaker;
      return { ...breaker, trialsOut: breaker.trialsOut + 1, lastTrialAtMs: nowMs };
    default:
      return assertNever(event);
  }
}

/** Null while closed. */
export function standingOf(
  before: Breaker,
  nowMs: number,
  settings: BreakerSettings = breakerDefaults,
): BreakerStanding | null {
  const breaker = breakerAt(before, nowMs, settings);
  switch (breaker.kind) {
    case 'closed':
      return null;
    case 'open':
      return { kind: 'open', untilMs: breaker.untilMs, why: breaker.why };
    case 'half_open': {
      const trialsLeft = settings.trialsMax - breaker.trialsOut;
      return { kind: 'half_open', trialsLeft, why: breaker.why };
    }
    default:
      return assertNever(breaker);
  }
}

function afterAnswer(breaker: Breaker, settings: BreakerSettings): Breaker {
  if (breaker.kind === 'closed') return breaker.failuresRunning === 0 ? breaker : closedBreaker;
  // An order placed before it opened was answered late: that says nothing of now.
  if (breaker.kind === 'open') return breaker;
  const passes = breaker.passes + 1;
  if (passes >= settings.passesMin) return closedBreaker;
  return { ...breaker, passes, trialsOut: Math.max(0, breaker.trialsOut - 1) };
}

function afterFailure(
  breaker: Breaker,
  recent: Tally,
  nowMs: number,
  settings: BreakerSettings,
): Breaker {
  if (breaker.kind === 'open') return breaker;
  if (breaker.kind === 'half_open') {
    return opened(breaker.opens + 1, 'a trial was not answered', nowMs, settings);
  }
  const failuresRunning = breaker.failuresRunning + 1;
  if (failuresRunning >= settings.failuresRunningMax) {
    return opened(1, `${failuresRunning} charges running were not answered`, nowMs, settings);
  }
  const failures = recent.outcomes - recent.successes;
  const countsEnough = recent.outcomes >= settings.shareOutcomesMin;
  if (countsEnough && failures >= recent.outcomes * settings.failureShareMax) {
    const why = `${failures} of the last ${recent.outcomes} charges were not answered`;
    return opened(1, why, nowMs, settings);
  }
  return { kind: 'closed', failuresRunning };
}

function opened(opens: number, why: string, nowMs: number, settings: BreakerSettings): Breaker {
  const openMs = Math.min(settings.openMsMax, settings.openMsMin * 2 ** (opens - 1));
  return { kind: 'open', untilMs: nowMs + openMs, opens, why };
}
