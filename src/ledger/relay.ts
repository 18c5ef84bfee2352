import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import type { ClaimedMessage, MessageQueue, Outbox } from './ports.js';

export interface RelaySettings {
  /** Messages that one consumer posts in one transaction, at most. */
  readonly batchMax: number;
  /** How often to look when nothing was due. */
  readonly idleMs: number;
  /** A message that nobody has confirmed by then is sent again. */
  readonly confirmMs: number;
  /** Delivered messages are purged after this. */
  readonly keepMs: number;
}

export interface RelayReport {
  readonly sent: number;
  /** More may be due at once. */
  readonly more: boolean;
  readonly queue: 'open' | 'full_or_away';
}

/** Batches claimed at a time. */
const batchesMax = 5;
/**
 * A message sent this often without a confirmation goes alone: if it is what kills its consumers, it
 * takes no others with it.
 */
const alonePast = 3;
const awayMsMax = 30_000;
const purgeEveryMs = 60_000;
const purgePage = 1_000;

/**
 * Moves messages from the outbox to the queue. The outbox is the truth: a message is claimed for a
 * while, sent, and due again unless a consumer confirms it. So the queue may lose everything, and a
 * relay may die anywhere. Any number of relays may run.
 */
export class Relay {
  readonly #stop = new AbortController();
  #loop: Promise<void> | null = null;
  #purgedAtMs = -Infinity;
  #away = 0;

  constructor(
    private readonly outbox: Outbox,
    private readonly queue: MessageQueue,
    private readonly settings: RelaySettings,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  start(): void {
    this.#loop ??= this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let waitMs = this.settings.idleMs * (0.9 + 0.2 * Math.random());
      try {
        const { more, queue } = await this.runOnce();
        this.#away = queue === 'open' ? 0 : this.#away + 1;
        if (more) waitMs = 0;
        await this.#purge();
      } catch (error) {
        this.#away += 1;
        if (this.#away === 1) this.log.warn('ledger relay did not finish', { why: String(error) });
      }
      if (this.#away > 0) {
        waitMs = Math.min(awayMsMax, this.settings.idleMs * 2 ** Math.min(this.#away, 10));
      }
      await this.clock.sleep(waitMs, signal);
    }
  }

  async runOnce(): Promise<RelayReport> {
    const { batchMax, confirmMs } = this.settings;
    // Asked before anything is claimed: while the queue is away the outbox is left in peace.
    if (!(await this.queue.hasRoom())) return { sent: 0, more: false, queue: 'full_or_away' };
    const nowMs = this.clock.nowMs();
    const limit = batchMax * batchesMax;
    const claimed = await this.outbox.claimDue({ nowMs, againAtMs: nowMs + confirmMs, limit });
    if (claimed.length === 0) return { sent: 0, more: false, queue: 'open' };
    if (!(await this.queue.add(batched(claimed, batchMax)))) {
      const ids = claimed.map(({ id }) => id);
      await this.outbox.release(ids, nowMs);
      return { sent: 0, more: false, queue: 'full_or_away' };
    }
    return { sent: claimed.length, more: claimed.length === limit, queue: 'open' };
  }

  async #purge(): Promise<void> {
    const nowMs = this.clock.monotonicMs();
    if (nowMs - this.#purgedAtMs < purgeEveryMs) return;
    this.#purgedAtMs = nowMs;
    const beforeMs = this.clock.nowMs() - this.settings.keepMs;
    while ((await this.outbox.purgeDelivered(beforeMs, purgePage)) === purgePage) {
      if (this.#stop.signal.aborted) return;
    }
  }
}

function batched(claimed: readonly ClaimedMessage[], batchMax: number): string[][] {
  const alone = claimed.filter(({ dispatches }) => dispatches >= alonePast);
  const others = claimed.filter(({ dispatches }) => dispatches < alonePast);
  const batches = alone.map(({ id }) => [id]);
  for (let at = 0; at < others.length; at += batchMax) {
    batches.push(others.slice(at, at + batchMax).map(({ id }) => id));
  }
  return batches;
}
