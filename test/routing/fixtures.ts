import { natureOf, channelProfileSchema, type ChannelProfile } from '../../src/channels/profile.js';
import type { RouteRequest } from '../../src/engine/route.js';
import { channelId, taskId, type TaskId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import { termsOf, type ChannelTerms } from '../../src/routing/terms.js';
import type { RoutingWorld } from '../../src/routing/world.js';

/** Sunday 1 March 2026, noon in Shanghai. */
export const noonMs = Date.UTC(2026, 2, 1, 4);
export const minuteMs = 60_000;

export type ProfileInput = Partial<Record<keyof ChannelProfile, unknown>>;

/** A profile as an operator would write it, through the real schema. */
export function profile(id: string, over: ProfileInput = {}): ChannelProfile {
  return channelProfileSchema.parse({
    id,
    name: id,
    adapter: 'json_hmac',
    base_url: 'http://127.0.0.1:1',
    merchant_id: 'm1',
    secrets: {},
    mode: 'sync',
    tier: 1,
    nature: {
      idempotent: true,
      honours_expiry: true,
      close_proof: 'none',
      visibility_ms: 60_000,
      order_ttl_ms: 30 * minuteMs,
      poll_schedule_ms: [1_000],
    },
    timeouts: { charge_ms: 10_000, query_ms: 5_000, close_ms: 5_000 },
    currencies: ['CNY'],
    limits: {},
    banks: { ICBC: {}, CCB: {} },
    fees: { flat_minor: 60, basis_points: 0 },
    error_codes: {},
    ...over,
  });
}

export function terms(id: string, over: ProfileInput = {}): ChannelTerms {
  const made = profile(id, over);
  return termsOf(made, natureOf(made));
}

export function world(
  channels: readonly ChannelTerms[],
  over: Partial<RoutingWorld> = {},
): RoutingWorld {
  return {
    nowMs: noonMs,
    channels,
    usage: new Map(),
    health: new Map(),
    breakers: new Map(),
    penaltyMinor: 200,
    probeShare: 0,
    ...over,
  };
}

export function task(n: number): TaskId {
  return taskId(`01900000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`);
}

export function request(over: Partial<RouteRequest> = {}): RouteRequest {
  return {
    taskId: task(1),
    bankCode: 'ICBC',
    amountMinor: amountMinor(50_000),
    currency: 'CNY',
    exclude: [],
    ...over,
  };
}

export { channelId };
