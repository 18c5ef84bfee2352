import type { Source } from '../engine/entries.js';
import { channelId, repaymentId } from '../ids.js';
import type { NewRepayment } from '../intake/repayment.js';
import { amountMinor, type AmountMinor } from '../money.js';
import type { ChannelTerms } from '../routing/terms.js';
import { Chance, mix } from './chance.js';
import type { Faults } from './faults.js';
import { payoutNature, planFlows, type FlowPlan, type Mix } from './flow-plan.js';
import type { ChannelCharacter } from './sim-channel.js';

/** Midnight by our calendar; the world starts a few hours into a day. */
export const worldStartMs = Date.UTC(2026, 10, 22, 2);

const processSkewMaxMs = 1_500;
const channelSkewMaxMs = 1_000;
/** What a profile must reckon with: the clocks of both sides may differ (docs/RELIABILITY.md). */
const visibilityMarginMs = processSkewMaxMs + channelSkewMaxMs + 1;

/** What is settled about a world before anything happens in it. */
export interface WorldPlan {
  readonly channels: readonly ChannelCharacter[];
  readonly terms: readonly ChannelTerms[];
  readonly processes: number;
  readonly repayments: readonly NewRepayment[];
  readonly requests: readonly PlannedRequest[];
  readonly happenings: readonly Happening[];
  /** How long faults strike; afterwards everything must come to an end. */
  readonly faultsForMs: number;
  readonly leaseMs: number;
  readonly lockWaitMs: number;
  readonly attemptWindowMs: number;
  readonly encoded: boolean;
  /** Null in a world of deductions alone. */
  readonly flows: FlowPlan | null;
}

export interface PlannedRequest {
  readonly atMs: number;
  readonly repayment: NewRepayment;
  readonly source: Source;
  readonly amountMinor: AmountMinor | null;
  readonly requestKey: string;
}

/** What people do: they go on when faults have stopped. */
export type PeoplesKind = 'ask' | 'decide' | 'refund' | 'statement';

export type Happening =
  | { readonly kind: 'redis_flush'; readonly atMs: number }
  | { readonly kind: 'crash'; readonly atMs: number; readonly process: number }
  | { readonly kind: 'pause'; readonly atMs: number; readonly process: number; readonly ms: number }
  | {
      readonly kind: 'clock_jump';
      readonly atMs: number;
      readonly process: number;
      readonly skewMs: number;
    }
  | { readonly kind: PeoplesKind; readonly atMs: number };

export function planWorld(seed: number, faults: Faults, how: Mix): WorldPlan {
  const chance = new Chance(seed);
  const mixed = how.withdrawals > 0 || how.topUps > 0;
  const faultsForMs = chance.between(300_000, 1_200_000);
  const processes = chance.between(2, 4);
  const channels = Array.from({ length: chance.between(2, 3) }, (_, at) =>
    character(at, faultsForMs, chance, faults),
  );
  const repayments = Array.from({ length: chance.between(5, 10) }, (_, at) =>
    repayment(`${seed}_${at + 1}`, chance),
  );
  const terms = channels.map((channel) => termsOf(channel, chance));
  const requests = repayments.flatMap((one) => requestsFor(one, chance));
  return {
    channels: mixed ? channels.map((one, at) => paysOut(one, seed, at)) : channels,
    terms: mixed ? terms.map((one, at) => paidOut(one, seed, at)) : terms,
    processes,
    repayments,
    requests: requests.slice(0, Math.round(requests.length * how.deductions)),
    happenings: [
      ...happenings(processes, faultsForMs, chance, faults),
      ...peoplesWork(new Chance(mix(seed, 0xbe0b1e)), faultsForMs),
    ],
    faultsForMs,
    leaseMs: chance.pick([15_000, 30_000]),
    lockWaitMs: chance.pick([0, 300, 2_000]),
    attemptWindowMs: chance.pick([300_000, 1_800_000, 3_600_000]),
    encoded: chance.yes(0.2),
    flows: mixed
      ? planFlows(seed, faults, how, { worldStartMs, faultsForMs, visibilityMarginMs })
      : null,
  };
}

/** For top-ups its charges must be such as can be given back. */
const paidOut = (terms: ChannelTerms, seed: number, at: number): ChannelTerms => ({
  ...terms,
  refunds: true,
  payouts: { ...terms, nature: payoutNature(seed, at, terms.nature) },
});

const paysOut = (channel: ChannelCharacter, seed: number, at: number): ChannelCharacter => ({
  ...channel,
  offers: [...channel.offers, 'payout'],
  payouts: payoutNature(seed, at, channel.nature),
});

const patient = [1_000, 3_000, 10_000, 30_000, 60_000, 180_000, 600_000, 1_800_000];
const longer = [2_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 7_200_000];
const short = [500, 2_000, 5_000];

function character(
  at: number,
  faultsForMs: number,
  chance: Chance,
  faults: Faults,
): ChannelCharacter {
  const honoursExpiry = chance.yes(0.5);
  const invisibleMs = chance.spread(200, 30_000);
  const out = faults.strikes('outage', 0);
  const fromMs = worldStartMs + chance.between(0, faultsForMs);
  return {
    id: channelId(`channel_${at + 1}`),
    nature: {
      idempotent: chance.yes(0.5),
      honoursExpiry,
      closeProof: chance.yes(0.4) ? 'refuses_unseen' : 'none',
      visibilityMs: invisibleMs + visibilityMarginMs,
      pollScheduleMs: chance.pick(honoursExpiry ? [patient, longer] : [patient, longer, short]),
    },
    offers: ['charge', 'refund'],
    orderTtlMs: chance.spread(12_000, 300_000),
    sync: chance.yes(0.5),
    callsBack: chance.yes(0.5),
    invisibleMs,
    clockSkewMs: chance.between(-channelSkewMaxMs, channelSkewMaxMs),
    declineShare: chance.pick([0, 0.1, 0.3, 0.6]),
    timeoutsMs: {
      charge: chance.between(1_000, 10_000),
      query: chance.between(1_000, 5_000),
      close: chance.between(1_000, 5_000),
    },
    outage: out ? { fromMs, toMs: fromMs + faults.extent().spread(10_000, 3_600_000) } : null,
  };
}

function termsOf(channel: ChannelCharacter, chance: Chance): ChannelTerms {
  const unlimited = { perTransactionMaxMinor: null, dailyMaxMinor: null };
  return {
    channelId: channel.id,
    tier: chance.between(1, 2),
    paused: false,
    currencies: new Set(['CNY']),
    perTransactionMinMinor: null,
    limits: unlimited,
    banks: new Map([['ICBC', unlimited]]),
    fees: { flatMinor: BigInt(chance.between(0, 100)), basisPoints: 20n, maxMinor: null },
    maintenance: [],
    chargeMs: channel.timeoutsMs.charge,
    orderTtlMs: channel.orderTtlMs,
    nature: channel.nature,
  };
}

function repayment(name: string, chance: Chance): NewRepayment {
  return {
    id: repaymentId(`rp_${name}`),
    borrowerId: `bw_${name}`,
    currency: 'CNY',
    dueMinor: amountMinor(chance.between(2, 500_000)),
    dueDate: '2026-11-22',
    account: { token: `tok_${name}`, bankCode: 'ICBC', last4: '4321' },
  };
}

const sources: readonly [Source, ...Source[]] = ['app', 'batch', 'agent'];

function requestsFor(repayment: NewRepayment, chance: Chance): PlannedRequest[] {
  const startMs = chance.between(0, 120_000);
  const race = chance.yes(0.3);
  return Array.from({ length: chance.pick([1, 1, 2, 3]) }, (_, at) => {
    const source = chance.pick(sources);
    const partial = source === 'agent' || chance.yes(0.3);
    const part = BigInt(chance.between(1, Number(repayment.dueMinor)));
    return {
      atMs: startMs + (race ? chance.between(0, 3) : at * chance.between(1_000, 200_000)),
      repayment,
      source,
      amountMinor: partial ? amountMinor(part) : null,
      requestKey: `${source}:${repayment.id}:${at}`,
    };
  });
}

/** In half of the worlds nobody works: a case then stays what it is. */
function peoplesWork(chance: Chance, faultsForMs: number): Happening[] {
  if (chance.yes(0.5)) return [];
  const work = (kind: PeoplesKind, times: number, lateMs: number): Happening[] =>
    Array.from({ length: times }, () => ({
      kind,
      atMs: chance.between(30_000, faultsForMs + lateMs),
    }));
  return [
    ...work('refund', chance.between(0, 3), 0),
    ...work('statement', chance.between(0, 2), 0),
    ...work('decide', chance.between(0, 12), 7_200_000),
  ];
}

/** What happens by the clock and not upon an occasion. */
function happenings(
  processes: number,
  faultsForMs: number,
  chance: Chance,
  faults: Faults,
): Happening[] {
  const list: Happening[] = [];
  const when = (): number => chance.between(0, Math.min(faultsForMs, 400_000));
  for (let n = 0; n < 3; n += 1) {
    const process = chance.between(0, processes - 1);
    const atMs = when();
    if (faults.strikes('redis_flush', 0)) list.push({ kind: 'redis_flush', atMs });
    if (faults.strikes('crash', 0)) list.push({ kind: 'crash', atMs, process });
    if (faults.strikes('pause', 0)) {
      list.push({ kind: 'pause', atMs, process, ms: faults.extent().spread(1_000, 300_000) });
    }
    if (faults.strikes('clock_jump', 0)) {
      const skewMs = faults.extent().between(-processSkewMaxMs, processSkewMaxMs);
      list.push({ kind: 'clock_jump', atMs, process, skewMs });
    }
    list.push({ kind: 'ask', atMs: chance.between(0, faultsForMs) });
  }
  return list;
}
