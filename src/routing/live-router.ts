import type { Clock } from '../clock.js';
import { businessDate } from '../business-date.js';
import type { Router } from '../engine/ports.js';
import type { Route, RouteRequest } from '../engine/route.js';
import type { ChannelId } from '../ids.js';
import { LiveHealth } from './live-health.js';
import { planRoute } from './plan-route.js';
import type { ChannelTerms } from './terms.js';

/** Where the day's amounts come from: the attempts of all processes. */
export interface UsageSource {
  usage(date: string): Promise<
    readonly {
      channelId: ChannelId;
      bankCode: string;
      amountMinor: bigint;
      /** Absent: charges. */
      operation?: 'charge' | 'payout';
    }[]
  >;
}

export interface LiveRouterSettings {
  readonly zone: string;
  /** What a charge that does not succeed is reckoned to cost, minor units. */
  readonly penaltyMinor: number;
  readonly probeShare: number;
  /** How old the day's usage may be. What other processes place meanwhile can pass a limit by that
   * much; the channel's own refusal (`limit_exceeded`) is then a decline like any other. */
  readonly usageMaxAgeMs: number;
}

/**
 * Reading the usage takes longer the more was placed today: at a million attempts a good part of a
 * second. It is read again only after so many times what it took, so that it never costs the database
 * more than a twentieth of one core.
 */
const usageRestTimes = 20;

export const liveRouterDefaults: Omit<LiveRouterSettings, 'zone'> = {
  penaltyMinor: 200,
  probeShare: 0.03,
  usageMaxAgeMs: 2_000,
};

/** The router of a running process: the pure plan over what is known now. */
export class LiveRouter implements Router {
  #usage = noUsage();
  #meanwhile = noUsage();
  #usageDate = '';
  #usageAtMs = Number.NEGATIVE_INFINITY;
  #usageRestMs = 0;
  #refreshing: Promise<void> | null = null;

  constructor(
    private readonly terms: () => readonly ChannelTerms[],
    private readonly health: LiveHealth,
    private readonly source: UsageSource,
    private readonly clock: Clock,
    private readonly settings: LiveRouterSettings,
    /** Payouts have a health of their own: a channel may pay out well and charge badly. */
    private readonly payoutHealth: LiveHealth = new LiveHealth(),
  ) {}

  /** A plan that will be followed: counted in the usage, and in a half-open breaker's trials. */
  async plan(request: RouteRequest): Promise<Route> {
    await this.#refreshUsage();
    for (;;) {
      const route = this.#planNow(request);
      const [first] = route.places;
      if (first === undefined) return route;
      // No await since the plan was made, so a "no" means that the trials just ran out.
      const health = this.#healthOf(request);
      if (!health.admit(first.channelId, this.clock.nowMs())) continue;
      this.#count(request, first.channelId);
      return route;
    }
  }

  /** The plan that would be made now; changes nothing. */
  async preview(request: RouteRequest): Promise<Route> {
    await this.#refreshUsage();
    return this.#planNow(request);
  }

  #planNow(request: RouteRequest): Route {
    const nowMs = this.clock.nowMs();
    const health = this.#healthOf(request);
    return planRoute(request, {
      nowMs,
      channels: this.terms(),
      usage: this.#usage[request.operation ?? 'charge'],
      health: health.healthView(nowMs),
      breakers: health.breakerView(nowMs),
      penaltyMinor: this.settings.penaltyMinor,
      probeShare: this.settings.probeShare,
    });
  }

  #healthOf({ operation }: RouteRequest): LiveHealth {
    return operation === 'payout' ? this.payoutHealth : this.health;
  }

  async #refreshUsage(): Promise<void> {
    for (;;) {
      const nowMs = this.clock.nowMs();
      const date = businessDate(nowMs, this.settings.zone);
      const ageMs = this.clock.monotonicMs() - this.#usageAtMs;
      const maxAgeMs = Math.max(this.settings.usageMaxAgeMs, this.#usageRestMs);
      if (date === this.#usageDate && ageMs < maxAgeMs) return;
      this.#refreshing ??= this.#loadUsage(date).finally(() => {
        this.#refreshing = null;
      });
      if (date === this.#usageDate) {
        // Known, if a little old: good enough to go on with while it is read again.
        this.#refreshing.catch(() => undefined);
        return;
      }
      await this.#refreshing;
    }
  }

  async #loadUsage(date: string): Promise<void> {
    // What is planned while the tables are read may or may not be in the answer: counted again, a
    // limit is reached a little early for one refresh, never passed.
    const readAtMs = this.clock.monotonicMs();
    const meanwhile = noUsage();
    this.#meanwhile = meanwhile;
    const usage = noUsage();
    const rows = await this.source.usage(date);
    const tookMs = this.clock.monotonicMs() - readAtMs;
    for (const { operation = 'charge', ...row } of rows) {
      add(usage[operation], row.channelId, row.bankCode, row.amountMinor);
    }
    for (const operation of ['charge', 'payout'] as const) {
      for (const [channelId, { byBank }] of meanwhile[operation]) {
        for (const [bankCode, amount] of byBank) add(usage[operation], channelId, bankCode, amount);
      }
    }
    this.#usage = usage;
    this.#usageDate = date;
    this.#usageAtMs = readAtMs;
    this.#usageRestMs = tookMs * usageRestTimes;
  }

  #count(request: RouteRequest, channelId: ChannelId): void {
    const { operation = 'charge', bankCode, amountMinor } = request;
    add(this.#usage[operation], channelId, bankCode, amountMinor);
    if (this.#refreshing === null) return;
    add(this.#meanwhile[operation], channelId, bankCode, amountMinor);
  }
}

type Usage = Map<ChannelId, { totalMinor: bigint; byBank: Map<string, bigint> }>;

/** What is paid out does not use up what may be charged. */
const noUsage = (): Record<'charge' | 'payout', Usage> => ({
  charge: new Map(),
  payout: new Map(),
});

function add(usage: Usage, channelId: ChannelId, bankCode: string, amountMinor: bigint): void {
  const channel = usage.get(channelId) ?? { totalMinor: 0n, byBank: new Map<string, bigint>() };
  channel.totalMinor += amountMinor;
  channel.byBank.set(bankCode, (channel.byBank.get(bankCode) ?? 0n) + amountMinor);
  usage.set(channelId, channel);
}
