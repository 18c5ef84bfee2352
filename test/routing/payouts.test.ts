import { expect } from 'chai';
import type { Route, RouteRequest } from '../../src/engine/route.js';
import { routedTerms, RoutingHealth } from '../../src/composition/routing.js';
import { systemClock } from '../../src/clock.js';
import { amountMinor } from '../../src/money.js';
import { LiveHealth } from '../../src/routing/live-health.js';
import { LiveRouter, liveRouterDefaults, type UsageSource } from '../../src/routing/live-router.js';
import { planRoute } from '../../src/routing/plan-route.js';
import { channelId, noonMs, profile, request, task, world, type ProfileInput } from './fixtures.js';

const terms = (id: string, over: ProfileInput = {}) => routedTerms(profile(id, over));
const paysOut = (payouts: unknown = {}, over: ProfileInput = {}): ProfileInput => ({
  operations: ['charge', 'payout'],
  payouts,
  ...over,
});
const payout = (over: Partial<RouteRequest> = {}) => request({ operation: 'payout', ...over });

const rejections = ({ rejected }: Route) =>
  Object.fromEntries(rejected.map(({ channelId: id, code }) => [id, code]));
const order = ({ places }: Route): string[] => places.map((place) => place.channelId);

describe('routing: payouts', () => {
  it('go to channels that pay out, by their own limits, fee and nature', () => {
    const own = {
      idempotent: false,
      honours_expiry: false,
      visibility_ms: 90_000,
      order_ttl_ms: 70_000,
      limits: { per_transaction_max_minor: 60_000 },
      fees: { flat_minor: 7, basis_points: 0 },
    };
    const channels = [
      terms('pays', paysOut(own)),
      terms('charges'),
      terms('tight', paysOut({ limits: { per_transaction_max_minor: 49_999 } })),
      terms('elsewhere', paysOut({ banks: { CMB: {} } })),
    ];
    const route = planRoute(payout(), world(channels));
    expect(rejections(route)).to.deep.equal({
      charges: 'payout_unsupported',
      tight: 'per_transaction_limit',
      elsewhere: 'bank_unsupported',
    });
    const [place] = route.places;
    expect(place).to.include({ channelId: 'pays', orderTtlMs: 70_000, expectedCostMinor: 17 });
    expect(place?.reason).to.contain('fee ¥0.07');
    expect(place?.nature).to.deep.include({
      idempotent: false,
      honoursExpiry: false,
      closeProof: 'none',
      visibilityMs: 90_000,
    });
    // The same channels charge as before.
    const charges = planRoute(request(), world(channels));
    expect(order(charges)).to.have.members(['pays', 'charges', 'tight', 'elsewhere']);
    expect(charges.places[0]?.nature).to.include({ honoursExpiry: true });
  });

  it('are promised nothing where the profile does not say so', () => {
    const route = planRoute(payout(), world([terms('pays', paysOut())]));
    expect(route.places[0]?.nature).to.include({
      idempotent: false,
      honoursExpiry: false,
      closeProof: 'none',
    });
  });

  it('are all that a channel without charges is asked for', () => {
    const channels = [terms('pays', paysOut({}, { operations: ['payout'] }))];
    expect(rejections(planRoute(request(), world(channels)))).to.deep.equal({
      pays: 'charge_unsupported',
    });
    expect(order(planRoute(payout(), world(channels)))).to.deep.equal(['pays']);
  });
});

describe('routing: payments that may have to go back', () => {
  it('go only to channels that refund', () => {
    const channels = [terms('keeps'), terms('refunds', { can_refund: true })];
    const route = planRoute(request({ refundable: true }), world(channels));
    expect(order(route)).to.deep.equal(['refunds']);
    expect(rejections(route)).to.deep.equal({ keeps: 'refund_unsupported' });
    expect(order(planRoute(request(), world(channels)))).to.have.length(2);
  });
});

describe('routing: what is live', () => {
  const clock = { ...systemClock, nowMs: () => noonMs };
  const limited = { limits: { daily_max_minor: 100_000 } };
  const router = (rows: Awaited<ReturnType<UsageSource['usage']>>, health = new LiveHealth()) => {
    const channels = [terms('only', paysOut(limited, limited))];
    const settings = { ...liveRouterDefaults, zone: 'Asia/Shanghai' };
    const source = { usage: async () => rows };
    return new LiveRouter(() => channels, new LiveHealth(), source, clock, settings, health);
  };
  const ofToday = { channelId: channelId('only'), bankCode: 'ICBC', amountMinor: 60_000n };

  it('counts what is paid out and what is charged of a day apart', async () => {
    const charged = router([ofToday]);
    expect(rejections(await charged.preview(request()))).to.deep.equal({ only: 'daily_limit' });
    expect(order(await charged.preview(payout()))).to.deep.equal(['only']);
    const paid = router([{ ...ofToday, operation: 'payout' }]);
    expect(rejections(await paid.preview(payout()))).to.deep.equal({ only: 'daily_limit' });
    expect(order(await paid.preview(request()))).to.deep.equal(['only']);
  });

  it('counts the payouts that it plans itself', async () => {
    const live = router([]);
    const big = { amountMinor: amountMinor(60_000) };
    expect(order(await live.plan(payout({ ...big, taskId: task(1) })))).to.deep.equal(['only']);
    const second = await live.plan(payout({ ...big, taskId: task(2) }));
    expect(rejections(second)).to.deep.equal({ only: 'daily_limit' });
    expect(order(await live.plan(request({ ...big, taskId: task(3) })))).to.deep.equal(['only']);
  });

  it('lets failing payouts open the breaker of payouts alone', async () => {
    const health = new RoutingHealth(clock);
    const answer = { kind: 'unknown', why: 'timeout', detail: '' } as const;
    for (let n = 0; n < 50; n += 1) {
      const about = { channelId: channelId('only'), bankCode: 'ICBC', answer, ms: 1 };
      health.observer({ ...about, operation: 'payout' });
      for (const operation of ['credit', 'query_credit', 'refund', 'query_refund'] as const) {
        health.observer({ ...about, operation });
      }
    }
    expect(health.charges.breakerView(noonMs).size).to.equal(0);
    expect(health.charges.healthView(noonMs).size).to.equal(0);
    const live = router([], health.payouts);
    expect(rejections(await live.preview(payout()))).to.deep.equal({ only: 'breaker_open' });
    expect(order(await live.preview(request()))).to.deep.equal(['only']);
  });
});
