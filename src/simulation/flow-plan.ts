/** What is settled about withdrawals and top-ups in a world before anything happens in it. */
import type { BankAccount, ChannelNature } from '../engine/order.js';
import type { Party } from '../engine/requests.js';
import { channelId, type ChannelId } from '../ids.js';
import type { TopUpRequest } from '../intake/top-up-desk.js';
import type { TopUpRule } from '../intake/top-up-rules.js';
import type { WithdrawalRequest } from '../intake/withdrawal-desk.js';
import { amountMinor } from '../money.js';
import { Chance, mix } from './chance.js';
import type { Faults } from './faults.js';
import type { ChannelCharacter } from './sim-channel.js';

/** How many tasks of each kind for one deduction that is planned anyway; 0: none. */
export interface Mix {
  readonly deductions: number;
  readonly withdrawals: number;
  readonly topUps: number;
}

export const evenMix: Mix = { deductions: 1, withdrawals: 1, topUps: 1 };
export const deductionsAlone: Mix = { deductions: 1, withdrawals: 0, topUps: 0 };

export type PlannedFlow = { readonly atMs: number } & (
  | { readonly kind: 'withdrawal'; readonly asked: WithdrawalRequest }
  | { readonly kind: 'top_up'; readonly asked: TopUpRequest }
);

export interface FlowPlan {
  readonly members: readonly { readonly id: string; readonly balance: bigint }[];
  /** Balances at the account service, by token. */
  readonly remote: readonly { readonly token: string; readonly balance: bigint }[];
  readonly cards: ChannelCharacter;
  readonly creditsOnce: boolean;
  readonly settleAfterMs: number;
  readonly accounts: ChannelCharacter;
  readonly requests: readonly PlannedFlow[];
}

export interface Surroundings {
  readonly worldStartMs: number;
  readonly faultsForMs: number;
  readonly visibilityMarginMs: number;
}

export function planFlows(seed: number, faults: Faults, how: Mix, where: Surroundings): FlowPlan {
  const chance = new Chance(mix(seed, 0xf10e5));
  const cards = party('cards', ['pre_recharge', 'credit', 'void'], chance, faults, where);
  const accounts = party('accounts', ['debit', 'restore'], chance, faults, where);
  const members = Array.from({ length: chance.between(1, 3) }, (_, at) => ({
    id: `mb_${seed}_${at + 1}`,
    balance: BigInt(chance.between(0, 400_000)),
  }));
  const remote = members.map(({ id }) => ({
    token: `acct_${id}`,
    balance: BigInt(chance.between(0, 400_000)),
  }));
  const many = (share: number): number => Math.round(chance.between(5, 11) * share);
  const withdrawals = Array.from({ length: many(how.withdrawals) }, (_, at) =>
    withdrawal(`${seed}_${at + 1}`, members, accounts.id, chance),
  );
  const topUps = Array.from({ length: many(how.topUps) }, (_, at) =>
    topUp(`${seed}_${at + 1}`, chance),
  );
  return {
    members,
    remote,
    cards,
    creditsOnce: chance.yes(0.5),
    settleAfterMs: chance.pick([300_000, 1_800_000, 3_600_000]),
    accounts,
    requests: [...withdrawals, ...topUps].flat(),
  };
}

const patient = [1_000, 3_000, 10_000, 30_000, 60_000, 180_000, 600_000, 1_800_000];
const longer = [2_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 7_200_000];
const short = [500, 2_000, 5_000];

function party(
  id: string,
  offers: ChannelCharacter['offers'],
  chance: Chance,
  faults: Faults,
  { worldStartMs, faultsForMs, visibilityMarginMs }: Surroundings,
): ChannelCharacter {
  const invisibleMs = chance.spread(200, 30_000);
  const out = faults.strikes('outage', 0);
  const fromMs = worldStartMs + chance.between(0, faultsForMs);
  return {
    id: channelId(id),
    nature: {
      idempotent: chance.yes(0.7),
      honoursExpiry: id !== 'cards' && chance.yes(0.5),
      // A card system that cannot void for ever is not admitted.
      closeProof: id === 'cards' || chance.yes(0.7) ? 'refuses_unseen' : 'none',
      visibilityMs: invisibleMs + visibilityMarginMs,
      pollScheduleMs: chance.pick([patient, longer, short]),
    },
    offers,
    orderTtlMs: chance.spread(12_000, 300_000),
    sync: chance.yes(0.7),
    callsBack: chance.yes(0.3),
    invisibleMs,
    clockSkewMs: chance.between(-1_000, 1_000),
    declineShare: chance.pick([0, 0.05, 0.15, 0.4]),
    timeoutsMs: {
      charge: chance.between(1_000, 10_000),
      query: chance.between(1_000, 5_000),
      close: chance.between(1_000, 5_000),
    },
    outage: out ? { fromMs, toMs: fromMs + faults.extent().spread(10_000, 10_800_000) } : null,
  };
}

export const partyOf = ({ id, nature, orderTtlMs }: ChannelCharacter): Party => ({
  channelId: id,
  nature,
  orderTtlMs,
});

/** What channels declare of their payouts need not be what they declare of charges. */
export function payoutNature(seed: number, at: number, nature: ChannelNature): ChannelNature {
  const chance = new Chance(mix(seed, 0x9a1d + at));
  const kept = chance.yes(0.5);
  return {
    ...nature,
    honoursExpiry: kept && nature.honoursExpiry,
    closeProof: kept || chance.yes(0.5) ? nature.closeProof : 'none',
  };
}

const account = (token: string): BankAccount => ({ token, bankCode: 'ICBC', last4: '4321' });

/** The same request, now and then by two callers at once. */
function repeated<T extends PlannedFlow>(one: T, chance: Chance): T[] {
  return chance.yes(0.2) ? [one, { ...one, atMs: one.atMs + chance.between(0, 50) }] : [one];
}

function withdrawal(
  name: string,
  members: FlowPlan['members'],
  accounts: ChannelId,
  chance: Chance,
): PlannedFlow[] {
  const member = members[chance.between(0, members.length - 1)]?.id ?? '';
  const remote = chance.yes(0.5);
  return repeated(
    {
      kind: 'withdrawal',
      atMs: chance.between(0, 120_000),
      asked: {
        memberId: member,
        amountMinor: amountMinor(chance.between(1, 150_000)),
        currency: 'CNY',
        account: account(`tok_${name}`),
        accountService: remote ? { id: accounts, account: account(`acct_${member}`) } : null,
        requestKey: `withdrawal_${name}`,
        requestDigest: 'd'.repeat(64),
      },
    } as const,
    chance,
  );
}

/** What a card gets: with a bonus where the customer asks for that rule. */
export const topUpRules: readonly TopUpRule[] = [
  { name: 'plain', currency: 'CNY', min_minor: 1, max_minor: 400_000, bonus: { kind: 'none' } },
  {
    name: 'bonus',
    currency: 'CNY',
    min_minor: 1,
    max_minor: 400_000,
    bonus: { kind: 'share', basis_points: 100 },
  },
];

function topUp(name: string, chance: Chance): PlannedFlow[] {
  return repeated(
    {
      kind: 'top_up',
      atMs: chance.between(0, 120_000),
      asked: {
        customerId: `cu_${name}`,
        amountMinor: amountMinor(chance.between(1, 300_000)),
        rule: chance.pick(['plain', 'bonus']),
        expectedCreditMinor: null,
        currency: 'CNY',
        payer: account(`pay_${name}`),
        card: account(`card_${name}`),
        cards: null,
        requestKey: `top_up_${name}`,
        requestDigest: 'd'.repeat(64),
      },
    } as const,
    chance,
  );
}
