import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Route } from '../../src/engine/route.js';
import { amountMinor } from '../../src/money.js';
import type { BreakerStanding } from '../../src/routing/breaker.js';
import { planRoute } from '../../src/routing/plan-route.js';
import { feeOf, successRate } from '../../src/routing/ranking.js';
import type { ChannelTerms } from '../../src/routing/terms.js';
import type { RoutingWorld } from '../../src/routing/world.js';
import { channelId, noonMs, request, task, terms, world } from './fixtures.js';

const order = (route: Route): string[] => route.places.map((place) => place.channelId);

const healthOf = (rates: Record<string, readonly [successes: number, outcomes: number]>) =>
  new Map(
    Object.entries(rates).map(([id, [successes, outcomes]]) => [
      channelId(id),
      new Map([['ICBC', { successes, outcomes }]]),
    ]),
  );

const fee = (flat: number, points = 0) => ({ fees: { flat_minor: flat, basis_points: points } });

const maybe = (max: number) => fc.option(fc.nat(max), { nil: undefined });

describe('routing: ranking', () => {
  it('puts the tier before any cost', () => {
    const route = planRoute(
      request(),
      world([terms('cheap', { tier: 2, ...fee(1) }), terms('dear', { tier: 1, ...fee(900) })], {
        health: healthOf({ dear: [0, 100], cheap: [100, 100] }),
      }),
    );
    expect(order(route)).to.deep.equal(['dear', 'cheap']);
  });

  it('weighs the fee against the success rate by the penalty', () => {
    const channels = [terms('cheap', fee(40)), terms('sure', fee(60))];
    const health = healthOf({ cheap: [80, 100], sure: [100, 100] });
    expect(order(planRoute(request(), world(channels, { health })))).to.deep.equal([
      'sure',
      'cheap',
    ]);
    const mild = world(channels, { health, penaltyMinor: 50 });
    expect(order(planRoute(request(), mild))).to.deep.equal(['cheap', 'sure']);
  });

  it('ranks equals by their id, in whatever order they are configured', () => {
    const equals = ['c', 'a', 'b'].map((id) => terms(id));
    expect(order(planRoute(request(), world(equals)))).to.deep.equal(['a', 'b', 'c']);
    expect(order(planRoute(request(), world(equals.toReversed())))).to.deep.equal(['a', 'b', 'c']);
  });

  it('counts only what was seen with the deduction’s own bank', () => {
    const channels = [terms('a'), terms('b')];
    const health = healthOf({ a: [0, 50] });
    expect(order(planRoute(request(), world(channels, { health })))).to.deep.equal(['b', 'a']);
    const other = request({ bankCode: 'CCB' });
    expect(order(planRoute(other, world(channels, { health })))).to.deep.equal(['a', 'b']);
  });

  it('says tier, fee and success for each place, and the cost that decided', () => {
    const health = healthOf({ a: [179, 184] });
    const { places } = planRoute(request(), world([terms('a'), terms('b')], { health }));
    expect(places.map((place) => [place.channelId, place.reason])).to.deep.equal([
      ['a', 'tier 1, fee ¥0.60, success 97.3 % of 184'],
      ['b', 'tier 1, fee ¥0.60, no recent outcomes, 95.0 % assumed'],
    ]);
    expect(places[0]?.expectedCostMinor).to.equal(65.88);
    expect(places[1]?.expectedCostMinor).to.equal(70);
    expect(places[0]?.orderTtlMs).to.equal(1_800_000);
    expect(places[0]?.nature.idempotent).to.equal(true);
  });

  it('rounds a fee half up and caps it', () => {
    const fees = { flatMinor: 10n, basisPoints: 25n, maxMinor: 100n };
    expect(feeOf(fees, 0n)).to.equal(10n);
    expect(feeOf(fees, 199n)).to.equal(10n);
    expect(feeOf(fees, 200n)).to.equal(11n);
    expect(feeOf(fees, 36_000n)).to.equal(100n);
    expect(feeOf(fees, 36_200n)).to.equal(100n);
    expect(feeOf({ ...fees, maxMinor: null }, 40_000n)).to.equal(110n);
  });

  it('starts from a prior of 19 in 20', () => {
    expect(successRate({ successes: 0, outcomes: 0 })).to.equal(0.95);
    expect(successRate({ successes: 0, outcomes: 1 })).to.be.closeTo(0.905, 0.001);
    expect(successRate({ successes: 200, outcomes: 200 })).to.be.closeTo(0.995, 0.001);
  });

  it('has no place when every breaker is open, and says why for each', () => {
    const open: BreakerStanding = { kind: 'open', untilMs: noonMs + 1_000, why: 'silence' };
    const breakers = new Map(['a', 'b'].map((id) => [channelId(id), open]));
    const route = planRoute(request(), world([terms('b'), terms('a')], { breakers }));
    expect(route.places).to.deep.equal([]);
    expect(route.rejected.map((rejection) => [rejection.channelId, rejection.code])).to.deep.equal([
      ['a', 'breaker_open'],
      ['b', 'breaker_open'],
    ]);
  });
});

describe('routing: probing', () => {
  const health = healthOf({ good: [990, 1000], bad: [700, 1000] });
  const pair = [terms('good'), terms('bad')];
  const beside = (second: ChannelTerms) =>
    world([terms('good'), second], { health, probeShare: 1 });

  it('tries a losing channel first for about the configured share of deductions', () => {
    for (const probeShare of [0.01, 0.03, 0.1]) {
      const around = world(pair, { health, probeShare });
      let probes = 0;
      for (let n = 0; n < 20_000; n += 1) {
        const { places } = planRoute(request({ taskId: task(n * 7919) }), around);
        if (places[0]?.channelId === 'bad') probes += 1;
      }
      // Within four standard deviations of a binomial; the ids are fixed, so this never flickers.
      const allowed = 4 * Math.sqrt(20_000 * probeShare * (1 - probeShare));
      expect(probes).to.be.closeTo(20_000 * probeShare, allowed);
    }
  });

  it('says that it is a probe and keeps the winner next', () => {
    const around = world([...pair, terms('third', fee(61))], { health, probeShare: 1 });
    const { places } = planRoute(request(), around);
    expect(places[0]?.reason).to.match(/^probe of a channel that is losing: tier 1, fee/);
    expect(places[1]?.channelId).to.equal('good');
    expect(places).to.have.length(3);
  });

  it('spreads probes over all that are losing', () => {
    const around = world([...pair, terms('worse')], { health, probeShare: 1 });
    const first = new Map<string, number>();
    for (let n = 0; n < 2_000; n += 1) {
      const id = planRoute(request({ taskId: task(n) }), around).places[0]?.channelId ?? '';
      first.set(id, (first.get(id) ?? 0) + 1);
    }
    expect([...first.keys()].sort()).to.deep.equal(['bad', 'worse']);
    expect(first.get('bad')).to.be.closeTo(1_000, 100);
  });

  it('never crosses a tier, never probes what its fee alone keeps from winning', () => {
    const lower = planRoute(request(), beside(terms('bad', { tier: 2 })));
    expect(order(lower)).to.deep.equal(['good', 'bad']);
    const dear = planRoute(request(), beside(terms('bad', fee(90))));
    expect(order(dear)).to.deep.equal(['good', 'bad']);
  });

  it('never probes with a deduction that was already tried elsewhere', () => {
    const around = world([...pair, terms('tried')], { health, probeShare: 1 });
    const route = planRoute(request({ exclude: [channelId('tried')] }), around);
    expect(order(route)).to.deep.equal(['good', 'bad']);
  });
});

describe('routing: properties of every plan', () => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  const limits = fc.record({
    per_transaction_max_minor: maybe(2_000),
    daily_max_minor: maybe(5_000),
  });
  const channel = (id: string) =>
    fc
      .record({
        tier: fc.integer({ min: 1, max: 3 }),
        paused: fc.boolean(),
        limits: fc
          .tuple(limits, maybe(500))
          .map(([both, min]) => ({ ...both, per_transaction_min_minor: min })),
        banks: fc.record({ ICBC: limits, CCB: limits }, { requiredKeys: [] }),
        fees: fc.record({ flat_minor: fc.nat(50), basis_points: fc.nat(500) }),
      })
      .map((over) => terms(id, over));
  const channels = fc.tuple(...ids.map(channel));
  const usage = fc
    .array(fc.tuple(fc.bigInt(0n, 6_000n), fc.bigInt(0n, 6_000n)), { minLength: 6, maxLength: 6 })
    .map(
      (amounts) =>
        new Map(
          amounts.map(([totalMinor, icbc], i) => [
            channelId(ids[i] ?? ''),
            { totalMinor, byBank: new Map([['ICBC', icbc]]) },
          ]),
        ),
    );
  const tallies = fc
    .array(fc.tuple(fc.nat(100), fc.nat(100)), { maxLength: 6 })
    .map((pairs) =>
      healthOf(
        Object.fromEntries(pairs.map(([won, lost], i) => [ids[i] ?? '', [won, won + lost]])),
      ),
    );
  const worlds: fc.Arbitrary<RoutingWorld> = fc
    .record({ channels, usage, health: tallies, probeShare: fc.constantFrom(0, 0.03, 1) })
    .map((made) => world(made.channels, made));
  const requests = fc
    .record({ n: fc.nat(), amount: fc.integer({ min: 1, max: 3_000 }), tried: fc.subarray(ids) })
    .map(({ n, amount, tried }) =>
      request({ taskId: task(n), amountMinor: amountMinor(amount), exclude: tried.map(channelId) }),
    );

  it('places every channel exactly once, or rejects it with a reason', () => {
    fc.assert(
      fc.property(requests, worlds, (asked, around) => {
        const route = planRoute(asked, around);
        const all = [...route.places, ...route.rejected];
        expect(all.map((one) => one.channelId).sort()).to.deep.equal(ids);
        for (const one of all) expect(one.reason).to.have.length.within(10, 250);
      }),
    );
  });

  it('never places a channel over one of its limits', () => {
    fc.assert(
      fc.property(requests, worlds, (asked, around) => {
        for (const place of planRoute(asked, around).places) {
          const channel = around.channels.find((one) => one.channelId === place.channelId);
          const own = channel?.limits;
          const bank = channel?.banks.get(asked.bankCode);
          const today = around.usage.get(place.channelId);
          const within = (used: bigint, max: bigint | null | undefined) =>
            max === null || max === undefined || used + asked.amountMinor <= max;
          expect(channel?.paused).to.equal(false);
          expect(bank).to.not.equal(undefined);
          expect(within(0n, own?.perTransactionMaxMinor)).to.equal(true);
          expect(within(0n, bank?.perTransactionMaxMinor)).to.equal(true);
          expect(within(today?.totalMinor ?? 0n, own?.dailyMaxMinor)).to.equal(true);
          const byBank = today?.byBank.get(asked.bankCode) ?? 0n;
          expect(within(byBank, bank?.dailyMaxMinor)).to.equal(true);
          expect(asked.amountMinor >= (channel?.perTransactionMinMinor ?? 0n)).to.equal(true);
          expect(asked.exclude).to.not.include(place.channelId);
        }
      }),
    );
  });

  it('is the same plan for the same inputs, in whatever order the channels come', () => {
    fc.assert(
      fc.property(
        requests,
        worlds,
        fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 }),
        (asked, around, permutation) => {
          const shuffled = permutation.flatMap((i) => around.channels[i] ?? []);
          const route = planRoute(asked, around);
          expect(planRoute(asked, around)).to.deep.equal(route);
          expect(planRoute(asked, { ...around, channels: shuffled })).to.deep.equal(route);
        },
      ),
    );
  });

  it('ranks by tier, then expected cost, but for a probe of the first tier', () => {
    fc.assert(
      fc.property(requests, worlds, (asked, around) => {
        const { places } = planRoute(asked, around);
        const tierOf = (id: string) =>
          around.channels.find((one) => one.channelId === id)?.tier ?? 0;
        const tiers = places.map((place) => tierOf(place.channelId));
        expect(tiers).to.deep.equal([...tiers].sort((x, y) => x - y));
        const [first, ...others] = places;
        const ordinary = first?.reason.startsWith('probe') === true ? others : places;
        for (let i = 1; i < ordinary.length; i += 1) {
          if (tierOf(ordinary[i]?.channelId ?? '') !== tierOf(ordinary[i - 1]?.channelId ?? ''))
            continue;
          expect(ordinary[i - 1]?.expectedCostMinor).to.be.at.most(
            ordinary[i]?.expectedCostMinor ?? -1,
          );
        }
      }),
    );
  });
});
