import type { RoutePlace, RouteRequest } from '../engine/route.js';
import type { Tally } from './health.js';
import type { MaintenanceVerdict } from './maintenance.js';
import { perCent, yuan } from './reason.js';
import type { FeeTerms, OperationTerms } from './terms.js';
import type { RoutingWorld } from './world.js';

/**
 * What is believed of a channel before anything was seen of it: Beta(19, 1), as if it had succeeded
 * nineteen times in twenty. 95 % is a common channel on a common day; the weight of twenty means that
 * one unlucky first outcome moves the belief by 4.5 points, and that two hundred outcomes settle it.
 */
const successPrior = { successes: 19, outcomes: 20 } as const;

/** A channel that may take the deduction, with what decides its place. */
export interface Candidate {
  readonly terms: OperationTerms;
  readonly feeMinor: bigint;
  readonly tally: Tally;
  readonly expectedCostMinor: number;
  readonly maintenance: MaintenanceVerdict;
}

const unseen: Tally = { successes: 0, outcomes: 0 };

export function candidateOf(
  terms: OperationTerms,
  request: RouteRequest,
  world: RoutingWorld,
  maintenance: MaintenanceVerdict,
): Candidate {
  const feeMinor = feeOf(terms.fees, request.amountMinor);
  const tally = world.health.get(terms.channelId)?.get(request.bankCode) ?? unseen;
  const costMinor = Number(feeMinor) + world.penaltyMinor * (1 - successRate(tally));
  // To a hundredth of a minor unit, so that the figure shown is the figure that decided.
  const expectedCostMinor = Math.round(costMinor * 100) / 100;
  return { terms, feeMinor, tally, expectedCostMinor, maintenance };
}

/** Rounded half up, as channels bill it. */
export function feeOf(fees: FeeTerms, amountMinor: bigint): bigint {
  const feeMinor = fees.flatMinor + (amountMinor * fees.basisPoints + 5_000n) / 10_000n;
  return fees.maxMinor !== null && feeMinor > fees.maxMinor ? fees.maxMinor : feeMinor;
}

export function successRate(tally: Tally): number {
  return (tally.successes + successPrior.successes) / (tally.outcomes + successPrior.outcomes);
}

/** A total order: two channels never tie, so the order in which they are configured decides nothing. */
export function compareCandidates(a: Candidate, b: Candidate): number {
  return (
    a.terms.tier - b.terms.tier ||
    a.expectedCostMinor - b.expectedCostMinor ||
    (a.terms.channelId < b.terms.channelId ? -1 : 1)
  );
}

/**
 * Which of the ranked candidates to try first so that it can win again; null for none.
 *
 * Only the best tier that is eligible is probed: a tier is an operator's decision (contracts, risk,
 * recourse) and no statistic overrules it. Of that tier, only channels that succeeding could bring to
 * the front: one whose fee alone is above the winner's expected cost would be probed for nothing. And
 * never a deduction that has already been tried somewhere: its borrower has waited enough.
 */
export function probeIndex(
  ranked: readonly Candidate[],
  request: RouteRequest,
  probeShare: number,
): number | null {
  const winner = ranked[0];
  if (winner === undefined || probeShare <= 0 || request.exclude.length > 0) return null;
  const hash = hashOf(request.taskId);
  if (hash / 2 ** 32 >= probeShare) return null;
  const losing: number[] = [];
  for (let i = 1; i < ranked.length; i += 1) {
    const candidate = ranked[i];
    if (candidate === undefined || candidate.terms.tier !== winner.terms.tier) break;
    if (Number(candidate.feeMinor) < winner.expectedCostMinor) losing.push(i);
  }
  // Mixed again: the hash itself is small here, having just been found to be.
  return losing[mixed(hash) % losing.length] ?? null;
}

export function placeOf(candidate: Candidate, isProbe: boolean, world: RoutingWorld): RoutePlace {
  const { terms, expectedCostMinor } = candidate;
  return {
    channelId: terms.channelId,
    reason: reasonOf(candidate, isProbe, world),
    expectedCostMinor,
    orderTtlMs: terms.orderTtlMs,
    nature: terms.nature,
  };
}

function reasonOf(candidate: Candidate, isProbe: boolean, world: RoutingWorld): string {
  const { terms, tally, maintenance } = candidate;
  const seen =
    tally.outcomes === 0
      ? `no recent outcomes, ${perCent(successRate(tally))} assumed`
      : `success ${perCent(tally.successes / tally.outcomes)} of ${tally.outcomes}`;
  let reason = `tier ${terms.tier}, fee ${yuan(candidate.feeMinor)}, ${seen}`;
  if (maintenance.kind === 'outlives') {
    reason += `; the order may outlast the start of maintenance, ${maintenance.window.text}`;
  }
  const breaker = world.breakers.get(terms.channelId);
  if (breaker !== undefined) reason = `trial after an outage (${breaker.why}): ${reason}`;
  return isProbe ? `probe of a channel that is losing: ${reason}` : reason;
}

/** FNV-1a, then mixed, over the id's characters: 32 bits, the same in every process for ever. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return mixed(hash);
}

/** The finaliser of MurmurHash3: every bit of the input reaches every bit of the result. */
function mixed(bits: number): number {
  let hash = bits;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
