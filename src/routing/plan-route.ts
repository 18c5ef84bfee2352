import type { Route, RoutePlace, RouteRejection, RouteRequest } from '../engine/route.js';
import { eligibilityOf } from './eligibility.js';
import { candidateOf, compareCandidates, placeOf, probeIndex, type Candidate } from './ranking.js';
import type { RoutingWorld } from './world.js';

/**
 * Ranks every channel for one deduction or payout, or says why not. Pure: the same request in the same world
 * gives the same plan, and neither planning nor previewing changes anything. Each channel of the
 * world appears exactly once, in `places` (best first) or in `rejected` (by channel id).
 *
 * No place means that no channel can take the deduction now; that is the caller's to report
 * (`no_eligible_channel`, with `rejected`).
 *
 * Whoever goes on to place the order asks `LiveHealth.admit` first, which is what a half-open
 * breaker counts its trials by.
 */
export function planRoute(request: RouteRequest, world: RoutingWorld): Route {
  const rejected: RouteRejection[] = [];
  const ranked: Candidate[] = [];
  for (const channel of world.channels) {
    const eligibility = eligibilityOf(channel, request, world);
    if (eligibility.kind === 'rejected') rejected.push(eligibility.rejection);
    else insert(ranked, candidateOf(eligibility.terms, request, world, eligibility.maintenance));
  }
  rejected.sort((a, b) => (a.channelId < b.channelId ? -1 : 1));
  return { places: placesOf(ranked, request, world), rejected };
}

/** Keeps the list ranked. For a few dozen channels, twice as fast as sorting it afterwards. */
function insert(ranked: Candidate[], candidate: Candidate): void {
  let at = ranked.length;
  for (; at > 0; at -= 1) {
    const before = ranked[at - 1];
    if (before === undefined || compareCandidates(before, candidate) < 0) break;
    ranked[at] = before;
  }
  ranked[at] = candidate;
}

/** The ranking as it is, but for a probe, which moves to the front. */
function placesOf(
  ranked: readonly Candidate[],
  request: RouteRequest,
  world: RoutingWorld,
): RoutePlace[] {
  const probe = probeIndex(ranked, request, world.probeShare);
  const places = ranked.map((candidate, i) => placeOf(candidate, i === probe, world));
  if (probe !== null) places.unshift(...places.splice(probe, 1));
  return places;
}
