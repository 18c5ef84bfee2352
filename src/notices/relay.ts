import type { Clock } from '../clock.js';
import type { Log } from '../log.js';
import { verdictOn, type BackOffSettings } from './back-off.js';
import type { DestinationDirectory, OpenDestination } from './destinations.js';
import type { ClaimedDelivery, DeliveryLog, NoticeAnswer, Poster, Try } from './ports.js';
import { signed } from './signature.js';

export interface NoticeRelaySettings extends BackOffSettings {
  /** Requests under way to one destination, at most: one that hangs holds up nobody else. */
  readonly perDestination: number;
  /** How often to look. */
  readonly idleMs: number;
  /** What was claimed and not recorded by then is sent again; longer than a request may take. */
  readonly claimMs: number;
}

/** Requests under way to one destination. */
interface Lane {
  underWay: number;
  /** Under way, or answered and not written down yet. */
  unrecorded: number;
  claiming: boolean;
  /** Claimed, and not begun yet. */
  readonly claimed: { readonly delivery: ClaimedDelivery; readonly beginByMs: number }[];
}

const newLane = (): Lane => ({ underWay: 0, unrecorded: 0, claiming: false, claimed: [] });

/** Claimed at a time, for each request that may be under way: a claim is a commit. */
const claimsAhead = 8;

const fanOutPage = 200;
/** Destinations change seldom: how often they are read while the relay runs. */
const refreshMs = 2_000;
const awayMsMax = 30_000;

/**
 * Sends notices to destinations. The tables are the truth: a delivery is claimed for a while, sent,
 * and due again unless what came of it is recorded. So this may die anywhere, and any number of them
 * may run; a receiver may get a notice twice, under one id, and none is lost.
 */
export class NoticeRelay {
  readonly #stop = new AbortController();
  readonly #lanes = new Map<string, Lane>();
  readonly #underWay = new Set<Promise<void>>();
  #loop: Promise<void> | null = null;
  #refreshedAtMs = -Infinity;

  constructor(
    private readonly deliveries: DeliveryLog,
    private readonly destinations: DestinationDirectory,
    private readonly poster: Poster,
    private readonly settings: NoticeRelaySettings,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Claims nothing more, and lets what is under way end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    await this.idle();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.tick();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) this.log.warn('notice relay did not finish', { why: String(error) });
      }
      const pauseMs = Math.min(awayMsMax, this.settings.idleMs * 2 ** Math.min(failures, 10));
      await this.clock.sleep(pauseMs * (0.9 + 0.2 * Math.random()), signal);
    }
  }

  /** Fans out what was written, and starts sending what is due as far as there is room. */
  async tick(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#refreshedAtMs >= refreshMs) {
      await this.destinations.refresh();
      this.#refreshedAtMs = nowMs;
    } else if (this.destinations.isEmpty) return;
    while ((await this.deliveries.fanOut(fanOutPage, this.clock.nowMs())) === fanOutPage) {
      if (this.#stop.signal.aborted) return;
    }
    await Promise.all(this.destinations.open().map(async (one) => await this.#fill(one)));
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async #fill(to: OpenDestination): Promise<void> {
    const lane = this.#lanes.get(to.id) ?? newLane();
    this.#lanes.set(to.id, lane);
    this.#begin(to, lane);
    const aheadMax = this.settings.perDestination * claimsAhead;
    const isFull = lane.claimed.length > 0 || lane.unrecorded >= 2 * aheadMax;
    if (lane.claiming || isFull || this.#stop.signal.aborted) return;
    lane.claiming = true;
    try {
      const { claimMs } = this.settings;
      const nowMs = this.clock.nowMs();
      // A request that begins in the first half of its claim ends in the second.
      const beginByMs = this.clock.monotonicMs() + claimMs / 2;
      const found = await this.deliveries.claim({
        destinationId: to.id,
        nowMs,
        againAtMs: nowMs + claimMs,
        limit: aheadMax,
      });
      lane.claimed.push(...found.map((delivery) => ({ delivery, beginByMs })));
    } finally {
      lane.claiming = false;
    }
    this.#begin(to, lane);
  }

  #begin(to: OpenDestination, lane: Lane): void {
    while (lane.underWay < this.settings.perDestination && !this.#stop.signal.aborted) {
      const next = lane.claimed.shift();
      if (next === undefined) return;
      // It has waited too long behind others: it is due again by itself.
      if (this.clock.monotonicMs() > next.beginByMs) continue;
      lane.underWay += 1;
      lane.unrecorded += 1;
      const sending = this.#send(to, lane, next.delivery).finally(() =>
        this.#underWay.delete(sending),
      );
      this.#underWay.add(sending);
    }
  }

  /** Never rejects: what could not be recorded is sent again when its claim has run out. */
  async #send(to: OpenDestination, lane: Lane, delivery: ClaimedDelivery): Promise<void> {
    const { messageId: id, body } = delivery;
    const [atMs, startedMs] = [this.clock.nowMs(), this.clock.monotonicMs()];
    const headers = { ...signed({ id, body }, to.keys, atMs) };
    const answer = await this.poster.post({ url: to.url, headers, body });
    const durationMs = Math.round(this.clock.monotonicMs() - startedMs);
    lane.underWay -= 1;
    const next = this.#fillOn(to);
    try {
      await this.#record(to, delivery, answer, { atMs, durationMs });
    } catch (error) {
      this.log.warn('notice not recorded', { id, why: String(error) });
    }
    lane.unrecorded -= 1;
    await next;
    await this.#fillOn(to);
  }

  /** There is room now: what else is due need not wait for the next look. Never rejects. */
  async #fillOn(to: OpenDestination): Promise<void> {
    try {
      const now = this.destinations.open().find(({ id }) => id === to.id);
      if (now !== undefined) await this.#fill(now);
    } catch {
      // The loop says so.
    }
  }

  async #record(
    { id: destinationId, resumedAt }: OpenDestination,
    delivery: ClaimedDelivery,
    answer: NoticeAnswer,
    took: Pick<Try, 'atMs' | 'durationMs'>,
  ): Promise<void> {
    // Time that a person had the destination paused is not held against the notice.
    const began = [delivery.firstTryAt?.getTime() ?? took.atMs, resumedAt?.getTime() ?? 0];
    const tried = {
      tries: delivery.tries,
      beganAtMs: Math.max(...began),
      nowMs: this.clock.nowMs(),
    };
    const verdict = verdictOn(answer, tried, this.settings, Math.random());
    const status = answer.kind === 'answered' ? answer.status : null;
    const error = verdict.kind === 'delivered' ? null : errorOf(answer);
    await this.deliveries.record(
      { ...delivery, destinationId },
      { ...took, status, error },
      verdict,
    );
    const about = { id: delivery.messageId, destination_id: destinationId, why: error };
    if (verdict.kind === 'exhausted') this.log.warn('notice given up after a day of tries', about);
    if (verdict.kind === 'gone') {
      this.log.warn('notice destination paused: it says that it is gone', about);
      await this.destinations.refresh();
    }
  }
}

function errorOf(answer: NoticeAnswer): string {
  if (answer.kind === 'unanswered') return answer.why;
  return answer.excerpt === '' ? `${answer.status}` : `${answer.status}: ${answer.excerpt}`;
}
