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
  claiming: boolean;
}

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
    const lane = this.#lanes.get(to.id) ?? { underWay: 0, claiming: false };
    this.#lanes.set(to.id, lane);
    const limit = this.settings.perDestination - lane.underWay;
    if (lane.claiming || limit <= 0 || this.#stop.signal.aborted) return;
    lane.claiming = true;
    try {
      const nowMs = this.clock.nowMs();
      const againAtMs = nowMs + this.settings.claimMs;
      const claim = { destinationId: to.id, nowMs, againAtMs, limit };
      for (const delivery of await this.deliveries.claim(claim)) {
        lane.underWay += 1;
        const sending = this.#send(to, delivery).finally(() => {
          lane.underWay -= 1;
          this.#underWay.delete(sending);
        });
        this.#underWay.add(sending);
      }
    } finally {
      lane.claiming = false;
    }
  }

  /** Never rejects: what could not be recorded is sent again when its claim has run out. */
  async #send(to: OpenDestination, delivery: ClaimedDelivery): Promise<void> {
    try {
      const { messageId: id, body } = delivery;
      const [atMs, startedMs] = [this.clock.nowMs(), this.clock.monotonicMs()];
      const headers = { ...signed({ id, body }, to.keys, atMs) };
      const answer = await this.poster.post({ url: to.url, headers, body });
      const durationMs = Math.round(this.clock.monotonicMs() - startedMs);
      await this.#record(to, delivery, answer, { atMs, durationMs });
    } catch (error) {
      this.log.warn('notice not recorded', { id: delivery.messageId, why: String(error) });
      return;
    }
    // There is room now: what else is due need not wait for the next look.
    const underWay = this.#lanes.get(to.id)?.underWay ?? 0;
    if (underWay <= this.settings.perDestination / 2) await this.#fillOn(to);
  }

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
