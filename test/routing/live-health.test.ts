import { expect } from 'chai';
import { LiveHealth } from '../../src/routing/live-health.js';
import type { Observation } from '../../src/routing/observation.js';
import { planRoute } from '../../src/routing/plan-route.js';
import type { RoutingWorld } from '../../src/routing/world.js';
import { channelId, noonMs, request, task, terms, world } from './fixtures.js';

const a = channelId('a');
const b = channelId('b');
const channels = [terms('a'), terms('b')];

function saw(
  health: LiveHealth,
  kind: Observation['kind'],
  atMs: number,
  over: Partial<Observation> = {},
): void {
  health.observe({ channelId: a, bankCode: 'ICBC', via: 'charge', kind, atMs, ...over });
}

function around(health: LiveHealth, nowMs: number, over: Partial<RoutingWorld> = {}): RoutingWorld {
  const views = { health: health.healthView(nowMs), breakers: health.breakerView(nowMs) };
  return world(channels, { nowMs, ...views, ...over });
}

const firstOf = (world: RoutingWorld, n = 1) =>
  planRoute(request({ taskId: task(n) }), world).places[0]?.channelId;

describe('routing: live health', () => {
  it('leaves a channel that does not answer, tries it again, and comes back when it answers', () => {
    const health = new LiveHealth();
    for (let i = 0; i < 5; i += 1) saw(health, 'unknown', noonMs, { code: 'timeout' });
    const during = planRoute(request(), around(health, noonMs + 1));
    expect(during.places.map((place) => place.channelId)).to.deep.equal([b]);
    expect(during.rejected[0]?.code).to.equal('breaker_open');
    expect(health.admit(a, noonMs + 1)).to.equal(false);

    const laterMs = noonMs + 5_000;
    expect(health.breakerView(laterMs).get(a)).to.deep.include({
      kind: 'half_open',
      trialsLeft: 3,
    });
    for (let i = 0; i < 3; i += 1) expect(health.admit(a, laterMs)).to.equal(true);
    expect(health.admit(a, laterMs)).to.equal(false);
    for (let i = 0; i < 3; i += 1) saw(health, 'succeeded', laterMs);
    expect(health.breakerView(laterMs).size).to.equal(0);
    expect(health.admit(a, laterMs)).to.equal(true);
  });

  it('takes no trial for a preview', () => {
    const health = new LiveHealth();
    for (let i = 0; i < 5; i += 1) saw(health, 'unknown', noonMs);
    const laterMs = noonMs + 5_000;
    for (let i = 0; i < 50; i += 1) planRoute(request(), around(health, laterMs));
    expect(health.breakerView(laterMs).get(a)).to.deep.include({ trialsLeft: 3 });
    const only = world([terms('a')], { breakers: health.breakerView(laterMs) });
    const route = planRoute(request(), only);
    expect(route.places[0]?.reason).to.match(/^trial after an outage \(5 charges running/);
    expect(health.admit(a, laterMs)).to.equal(true);
  });

  it('does not open for declines, nor for a bank’s outage, nor for what queries meet', () => {
    const health = new LiveHealth();
    for (let i = 0; i < 100; i += 1) {
      saw(health, 'declined', noonMs, { code: 'insufficient_funds' });
      saw(health, 'declined', noonMs, { code: 'bank_unavailable' });
      saw(health, 'unknown', noonMs, { via: 'later', code: 'timeout' });
    }
    expect(health.breakerView(noonMs).size).to.equal(0);
    expect(health.healthView(noonMs).get(a)?.get('ICBC')).to.deep.equal({
      successes: 0,
      outcomes: 100,
    });
  });

  it('opens on too large a share of twenty, and an old outage does not open it again after it closed', () => {
    const health = new LiveHealth();
    for (let i = 0; i < 20; i += 1) saw(health, i % 5 === 0 ? 'succeeded' : 'unknown', noonMs);
    expect(health.breakerView(noonMs).get(a)?.why).to.equal(
      '16 of the last 20 charges were not answered',
    );
    for (let i = 0; i < 3; i += 1) saw(health, 'succeeded', noonMs + 5_000);
    saw(health, 'unknown', noonMs + 5_001);
    expect(health.breakerView(noonMs + 5_001).size).to.equal(0);
  });

  it('lets a losing channel win again by probes once it has recovered', () => {
    const health = new LiveHealth();
    // Bad for a while, answered in between so that the breaker is not what keeps it away.
    for (let i = 0; i < 60; i += 1) {
      saw(health, 'declined', noonMs, { code: 'bank_unavailable' });
      saw(health, 'succeeded', noonMs, { channelId: b });
    }
    expect(firstOf(around(health, noonMs))).to.equal(b);

    let won = 0;
    let nowMs = noonMs;
    for (let n = 0; n < 40_000 && won < 1_000; n += 1) {
      nowMs += 20;
      const route = planRoute(
        request({ taskId: task(n) }),
        around(health, nowMs, { probeShare: 0.03 }),
      );
      const first = route.places[0]!;
      if (first.channelId === a && !first.reason.startsWith('probe')) won += 1;
      // Recovered, and better than the other, which now loses one in ten.
      const kind = first.channelId === b && n % 10 === 0 ? 'unknown' : 'succeeded';
      saw(health, kind, nowMs, { channelId: first.channelId });
    }
    expect(won).to.equal(1_000);
  });

  it('forgets a pair after its window, and holds no more pairs than it may', () => {
    const health = new LiveHealth({ pairsMax: 2, viewMs: 0 });
    saw(health, 'succeeded', noonMs, { bankCode: 'ICBC' });
    saw(health, 'succeeded', noonMs, { bankCode: 'CCB' });
    saw(health, 'succeeded', noonMs, { bankCode: 'BOC' });
    expect([...(health.healthView(noonMs).get(a)?.keys() ?? [])]).to.deep.equal(['ICBC', 'CCB']);
    expect(health.healthView(noonMs + 600_000).size).to.equal(0);
    saw(health, 'succeeded', noonMs + 600_000, { bankCode: 'BOC' });
    expect(
      health
        .healthView(noonMs + 600_000)
        .get(a)
        ?.has('BOC'),
    ).to.equal(true);
  });

  it('gives views that later observations do not change', () => {
    const health = new LiveHealth({ viewMs: 0 });
    saw(health, 'succeeded', noonMs);
    const before = health.healthView(noonMs);
    saw(health, 'succeeded', noonMs);
    expect(before.get(a)?.get('ICBC')?.outcomes).to.equal(1);
    expect(health.healthView(noonMs).get(a)?.get('ICBC')?.outcomes).to.equal(2);
  });

  it('gives the same view again for a tenth of a second', () => {
    const health = new LiveHealth();
    const first = health.healthView(noonMs);
    saw(health, 'succeeded', noonMs);
    expect(health.healthView(noonMs + 99)).to.equal(first);
    expect(
      health
        .healthView(noonMs + 100)
        .get(a)
        ?.get('ICBC')?.outcomes,
    ).to.equal(1);
  });
});
