import { invariant } from '../src/assert.js';
import type { RouteRequest } from '../src/engine/route.js';
import { amountMinor } from '../src/money.js';
import { channelId, newTaskId, type ChannelId } from '../src/ids.js';
import { LiveHealth } from '../src/routing/live-health.js';
import { planRoute } from '../src/routing/plan-route.js';
import { termsOf, type ChannelTerms } from '../src/routing/terms.js';
import type { ChannelUsage, RoutingWorld } from '../src/routing/world.js';

/**
 * How long a plan takes. The engine routes up to 10,000 deductions a second on one thread, so every
 * 10 µs here is a tenth of it. Run: `npx tsc -p . ; node dist/bench/routing.js`.
 */
const banks = ['ICBC', 'CCB', 'ABC', 'BOC', 'CMB', 'PSBC', 'SPDB', 'CITIC', 'CEB', 'PAB'];
const nowMs = Date.UTC(2026, 2, 1, 4);
const roundsMs = 1_500;

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

function measure(name: string, once: (i: number) => unknown): void {
  for (let i = 0; i < 20_000; i += 1) once(i);
  const startedMs = performance.now();
  let ops = 0;
  let tookMs = 0;
  while (tookMs < roundsMs) {
    for (let i = 0; i < 500; i += 1) once(ops + i);
    ops += 500;
    tookMs = performance.now() - startedMs;
  }
  const perSecond = Math.round((ops / tookMs) * 1000).toLocaleString('en');
  const each = ((tookMs / ops) * 1000).toFixed(2);
  process.stdout.write(`${name.padEnd(52)} ${perSecond.padStart(12)} ops/s ${each} µs\n`);
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

for (const count of [3, 20]) {
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
  measure(`planRoute, ${count} channels`, (i) => planRoute(request(i), still));
  measure(`planRoute, ${count} channels, all over a limit`, (i) =>
    planRoute({ ...request(i), amountMinor: amountMinor(9_000_000) }, still),
  );
  measure(`observe + views + planRoute, ${count} channels`, (i) => {
    // Ten thousand a second: a tenth of a millisecond passes with each.
    const atMs = nowMs + i / 10;
    observe(i, atMs);
    return planRoute(request(i), world(atMs));
  });
}
