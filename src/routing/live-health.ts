import type { ChannelId } from '../ids.js';
import {
  breakerDefaults,
  closedBreaker,
  standingOf,
  stepBreaker,
  type Breaker,
  type BreakerSettings,
  type BreakerStanding,
} from './breaker.js';
import { SlidingWindow, healthWindowSpec, type Tally, type WindowSpec } from './health.js';
import {
  declineDefaults,
  evidenceOf,
  type DeclineClassification,
  type Observation,
} from './observation.js';
import type { BreakerView, HealthView } from './world.js';

export interface LiveHealthSettings {
  readonly window: WindowSpec;
  /** What the breaker takes its failure share over: shorter, since it must act within seconds. */
  readonly breakerWindow: WindowSpec;
  readonly breaker: BreakerSettings;
  readonly declines: DeclineClassification;
  /** Pairs of channel and bank; beyond it a new pair keeps the prior. 500 bytes each. */
  readonly pairsMax: number;
  /** A health view is given out again for so long: making one for each plan would cost more than the plan. */
  readonly viewMs: number;
}

const liveHealthDefaults: LiveHealthSettings = {
  window: healthWindowSpec,
  breakerWindow: { bucketMs: 5_000, buckets: 12 },
  breaker: breakerDefaults,
  declines: declineDefaults,
  pairsMax: 20_000,
  viewMs: 100,
};

interface Guard {
  breaker: Breaker;
  readonly recent: SlidingWindow;
}

const noBreakers: BreakerView = new Map();

/**
 * What this process has seen of the channels lately. Each process judges for itself: nothing here is
 * shared or kept, for a wrong guess costs a detour and never money. A restarted process starts from
 * the prior, or is given what the tables tell of the last minutes through `observe`.
 *
 * The views are values: what is observed later does not change them.
 */
export class LiveHealth {
  readonly #settings: LiveHealthSettings;
  readonly #windows = new Map<ChannelId, Map<string, SlidingWindow>>();
  readonly #guards = new Map<ChannelId, Guard>();
  #pairs = 0;
  #view: HealthView = new Map();
  #viewMadeAtMs = Number.NEGATIVE_INFINITY;

  constructor(settings: Partial<LiveHealthSettings> = {}) {
    this.#settings = { ...liveHealthDefaults, ...settings };
  }

  observe(observation: Observation): void {
    const { channelId, bankCode, atMs } = observation;
    const { success, answered } = evidenceOf(observation, this.#settings.declines);
    if (success !== null) this.#count(channelId, bankCode, success, atMs);
    if (answered !== null) this.#judge(channelId, answered, atMs);
  }

  /**
   * Asked just before an order is placed, and never for a preview: may a new order go there now? At a
   * half-open channel a yes takes one of its trials, which the reply to the charge gives back (or
   * time, should the run end before the charge). Planning and asking without an `await` in between
   * always gives a yes for the first place; otherwise plan again upon a no.
   */
  admit(channelId: ChannelId, nowMs: number): boolean {
    const guard = this.#guards.get(channelId);
    if (guard === undefined) return true;
    const standing = standingOf(guard.breaker, nowMs, this.#settings.breaker);
    if (standing === null) return true;
    if (standing.kind === 'open' || standing.trialsLeft <= 0) return false;
    guard.breaker = stepBreaker(guard.breaker, { kind: 'trial' }, nowMs, this.#settings.breaker);
    return true;
  }

  breakerView(nowMs: number): BreakerView {
    let view: Map<ChannelId, BreakerStanding> | null = null;
    for (const [channelId, guard] of this.#guards) {
      if (guard.breaker.kind === 'closed') continue;
      const standing = standingOf(guard.breaker, nowMs, this.#settings.breaker);
      if (standing !== null) (view ??= new Map()).set(channelId, standing);
    }
    return view ?? noBreakers;
  }

  /**
   * At most `viewMs` old. Making a view is also where a pair that was not seen for a whole window is
   * forgotten, so that memory follows what is used.
   */
  healthView(nowMs: number): HealthView {
    const ageMs = nowMs - this.#viewMadeAtMs;
    if (ageMs >= 0 && ageMs < this.#settings.viewMs) return this.#view;
    const view = new Map<ChannelId, ReadonlyMap<string, Tally>>();
    for (const [channelId, byBank] of this.#windows) {
      const tallies = new Map<string, Tally>();
      for (const [bankCode, window] of byBank) {
        const tally = window.tally(nowMs);
        if (tally.outcomes > 0) tallies.set(bankCode, tally);
        else if (byBank.delete(bankCode)) this.#pairs -= 1;
      }
      if (tallies.size > 0) view.set(channelId, tallies);
      else this.#windows.delete(channelId);
    }
    this.#view = view;
    this.#viewMadeAtMs = nowMs;
    return view;
  }

  #count(channelId: ChannelId, bankCode: string, success: boolean, atMs: number): void {
    const window = this.#windowFor(channelId, bankCode);
    window?.record(success, atMs);
  }

  #windowFor(channelId: ChannelId, bankCode: string): SlidingWindow | null {
    let byBank = this.#windows.get(channelId);
    const known = byBank?.get(bankCode);
    if (known !== undefined) return known;
    if (this.#pairs >= this.#settings.pairsMax) return null;
    if (byBank === undefined) {
      byBank = new Map<string, SlidingWindow>();
      this.#windows.set(channelId, byBank);
    }
    const window = new SlidingWindow(this.#settings.window);
    byBank.set(bankCode, window);
    this.#pairs += 1;
    return window;
  }

  #judge(channelId: ChannelId, answered: boolean, atMs: number): void {
    let guard = this.#guards.get(channelId);
    if (guard === undefined) {
      guard = { breaker: closedBreaker, recent: new SlidingWindow(this.#settings.breakerWindow) };
      this.#guards.set(channelId, guard);
    }
    guard.recent.record(answered, atMs);
    const before = guard.breaker;
    guard.breaker = stepBreaker(
      before,
      answered ? { kind: 'answered' } : { kind: 'failed', recent: guard.recent.tally(atMs) },
      atMs,
      this.#settings.breaker,
    );
    // Closed after an outage: the outage's failures would open it again at the first hiccup.
    if (before.kind !== 'closed' && guard.breaker.kind === 'closed') guard.recent.clear();
  }
}
