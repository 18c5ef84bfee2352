import { invariant } from '../src/assert.js';
import type { RouteRequest } from '../src/engine/route.js';
import { amountMinor } from '../src/money.js';
import { channelId, newTaskId, type ChannelId } from '../src/ids.js';
import { LiveHealth } from '../src/routing/live-health.js';
import { planRoute } from '../src/routing/plan-route.js';
import { termsOf, type ChannelTerms } from '../src/routing/terms.js';
import type { ChannelUsage, RoutingWorld } from '../src/routing/world.js';
import { ranged, spread, table, type Spread } from './figures.js';
import type { Section } from './sections.js';
import type { Settings } from './throughput.js';

/** How long a plan takes. Every deduction makes one, on the thread that does everything else. */
const banks = ['ICBC', 'CCB', 'ABC', 'BOC', 'CMB', 'PSBC', 'SPDB', 'CITIC', 'CEB', 'PAB'];
const nowMs = Date.UTC(2026, 2, 1, 4);

function terms(index: number): ChannelTerms {
  const bankLimits = { per_transaction_max_minor: 5_000_000n, daily_max_minor: 10n ** 11n };
  return termsOf(
    {
      id: channelId(`channel_${index}`),
      tier: 1 + (index % 3),
      paused: false,
      currencies: ['CNY'],
      limits: {
        per_transaction_min_minor: 100n,
        per_transaction_max_minor: 10_000_000n,
        daily_max_minor: 10n ** 12n,
      },
      banks: Object.fromEntries(banks.map((bank) => [bank, bankLimits])),
      fees: { flat_minor: 20n, basis_points: 20 + index, max_minor: 5_000n },
      maintenance: [{ from: '23:30', to: '00:30', zone: 'Asia/Shanghai' }],
      timeouts: { charge_ms: 10_000 },
      nature: { order_ttl_ms: 1_800_000 },
    },
    {
      idempotent: true,
      honoursExpiry: true,
      closeProof: 'none',
      visibilityMs: 60_000,
      pollScheduleMs: [1_000],
    },
  );
}

function usageOf(ids: readonly ChannelId[]): ReadonlyMap<ChannelId, ChannelUsage> {
  const byBank = new Map(banks.map((bank) => [bank, 123_456_789n]));
  return new Map(ids.map((id) => [id, { totalMinor: 1_234_567_890n, byBank }]));
}

/** µs each. */
function timeOf(once: (i: number) => unknown, forMs: number): number {
  for (let i = 0; i < 2_000; i += 1) once(i);
  const startedMs = performance.now();
  let ops = 0;
  let tookMs = 0;
  while (tookMs < forMs) {
    for (let i = 0; i < 50; i += 1) once(ops + i);
    ops += 50;
    tookMs = performance.now() - startedMs;
  }
  return (tookMs / ops) * 1_000;
}

const taskIds = Array.from({ length: 1000 }, () => newTaskId());
const requests: RouteRequest[] = taskIds.map((taskId, i) => ({
  taskId,
  bankCode: banks[i % banks.length] ?? 'ICBC',
  amountMinor: amountMinor(100_000 + i * 37),
  currency: 'CNY',
  exclude: [],
}));

function request(i: number): RouteRequest {
  const asked = requests[i % requests.length];
  invariant(asked, 'there are requests');
  return asked;
}

/** µs a plan with 5, 50 and 500 channels: in a world that stands still, and as the live router asks. */
export function router({ smoke, rounds }: Settings): Section {
  const counts = smoke ? [5] : [5, 50, 500];
  const figures = counts.map((count) => {
    const each = Array.from({ length: smoke ? 1 : rounds }, () => round(count, smoke ? 10 : 500));
    const of = (name: keyof Round): Spread => spread(each.map((one) => one[name]));
    return { count, plan: of('plan'), rejected: of('rejected'), live: of('live') };
  });
  return {
    figures,
    text: table(
      ['µs', ...counts.map((count) => `${count} channels`)],
      [
        ['a plan', ...figures.map(({ plan }) => ranged(plan))],
        ['a plan, all over a limit', ...figures.map(({ rejected }) => ranged(rejected))],
        ['an answer observed, views and a plan', ...figures.map(({ live }) => ranged(live))],
      ],
    ),
  };
}

interface Round {
  readonly plan: number;
  readonly rejected: number;
  readonly live: number;
}

function round(count: number, forMs: number): Round {
  const channels = Array.from({ length: count }, (_, i) => terms(i));
  const ids = channels.map((channel) => channel.channelId);
  const health = new LiveHealth();
  const observe = (i: number, atMs: number): void => {
    health.observe({
      channelId: ids[i % count] ?? channelId('none'),
      bankCode: banks[(i >> 4) % banks.length] ?? 'ICBC',
      via: 'charge',
      kind: i % 37 === 0 ? 'unknown' : 'succeeded',
      atMs,
    });
  };
  for (let i = 0; i < 20_000; i += 1) observe(i, nowMs);
  const usage = usageOf(ids);
  const world = (atMs: number): RoutingWorld => ({
    nowMs: atMs,
    channels,
    usage,
    health: health.healthView(atMs),
    breakers: health.breakerView(atMs),
    penaltyMinor: 200,
    probeShare: 0.03,
  });
  const still = world(nowMs);
  const tooMuch = amountMinor(11_000_000);
  return {
    plan: timeOf((i) => planRoute(request(i), still), forMs),
    rejected: timeOf((i) => planRoute({ ...request(i), amountMinor: tooMuch }, still), forMs),
    live: timeOf((i) => {
      // Ten thousand a second: a tenth of a millisecond passes with each.
      const atMs = nowMs + i / 10;
      observe(i, atMs);
      return planRoute(request(i), world(atMs));
    }, forMs),
  };
}
