import type { Shown } from '../channels/call-record.js';
import type { CallbackReading, RawCallback } from '../channels/channel.js';
import type { Evidence } from '../engine/flow.js';
import { RecoupError } from '../errors.js';
import type { ChannelId, OrderNo, TaskId } from '../ids.js';
import type { CallbackVerdict, HttpServices } from './ports.js';

/**
 * From a channel's message to evidence in the log, in this order: its key, its time, its signature,
 * its content (all of that is `parseCallback`), its order, and then the executor, which reads it
 * against what we ordered: merchant, amount and currency. The receipt comes last. It only says that
 * the log has the evidence, so that copies need not go through the engine; were it written first, a
 * process that died in between would have swallowed what the message said.
 */
export interface CallbackParts {
  readonly services: Pick<
    HttpServices,
    'directory' | 'deductions' | 'callbacks' | 'calls' | 'clock' | 'log'
  >;
  /** Resolves when the evidence is in the log, or says nothing new. */
  readonly submit: (task: TaskId, evidence: Evidence) => Promise<void>;
}

type Genuine = Extract<CallbackReading, { kind: 'genuine' }>;

/** The word that a channel waits for, in its own form. */
export type Acknowledgement = Genuine['acknowledgement'];

const refusals = {
  forged: 'callback_rejected',
  stale: 'callback_stale',
  malformed: 'callback_malformed',
} as const;

export class CallbackIntake {
  /** Copies that come while the first is at work wait for it. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(private readonly parts: CallbackParts) {}

  /** @throws RecoupError: the channel should say it again, or had no business to say it. */
  async take(
    channelId: ChannelId,
    raw: RawCallback,
    about: Readonly<Record<string, unknown>>,
  ): Promise<Acknowledgement> {
    const { directory, log } = this.parts.services;
    const channel = directory.get(channelId);
    if (channel === undefined) throw new RecoupError('channel_unknown');
    const reading = channel.parseCallback(raw);
    if (reading.kind !== 'genuine') {
      this.#count(channelId, reading.kind);
      this.#journal({ channelId, verdict: reading.kind, orderNo: '' }, () => ({
        bytes: raw.body.length,
      }));
      log.warn(`${reading.kind} callback`, { ...about, why: reading.detail });
      throw new RecoupError(refusals[reading.kind]);
    }
    await this.#once(channelId, reading, about);
    return reading.acknowledgement;
  }

  /** Of copies that come together one is taken; the others have its end. */
  async #once(
    channelId: ChannelId,
    reading: Genuine,
    about: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const key = `${channelId} ${reading.digest}`;
    const first = this.#underWay.get(key);
    if (first !== undefined) {
      await first;
      this.#count(channelId, 'duplicate');
      return;
    }
    const taken = this.#taken(channelId, reading, about);
    this.#underWay.set(key, taken);
    try {
      await taken;
    } finally {
      this.#underWay.delete(key);
    }
  }

  async #taken(
    channelId: ChannelId,
    reading: Genuine,
    about: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const { callbacks, clock, log } = this.parts.services;
    const { orderNo, digest, nonce, against } = reading;
    if (await callbacks.isRecorded(channelId, digest)) {
      this.#count(channelId, 'duplicate');
      return;
    }
    const taskId = await this.#taskOf(orderNo, channelId);
    if (taskId === null) {
      this.#count(channelId, 'order_unknown');
      // Not the number: whatever it is, it is not one of ours.
      log.warn('callback for no order of this channel', about);
      throw new RecoupError('order_unknown');
    }
    let verdict: CallbackVerdict = 'accepted';
    let shown = reading.shown(null);
    const read: typeof against = (order) => {
      shown = reading.shown(order);
      const answer = against(order);
      if (answer.kind === 'mismatch') verdict = 'mismatch';
      return answer;
    };
    try {
      await this.parts.submit(taskId, { kind: 'callback', orderNo, read });
    } catch (error) {
      this.#count(channelId, 'put_off');
      this.#journal({ channelId, verdict: 'put_off', orderNo }, () => shown);
      throw error;
    }
    this.#count(channelId, verdict);
    this.#journal({ channelId, verdict, orderNo }, () => shown);
    const receivedAtMs = clock.nowMs();
    await callbacks
      .record({ channelId, digest, nonce, taskId, orderNo, verdict, receivedAtMs })
      .catch((error: unknown) => {
        // The log has the evidence; without the receipt a copy costs a run, and changes nothing.
        log.warn('callback receipt not written', { ...about, why: String(error) });
      });
  }

  /** A channel may speak of its own orders only, however well it signs. */
  async #taskOf(orderNo: OrderNo, channel: ChannelId): Promise<TaskId | null> {
    const { deductions } = this.parts.services;
    const id = await deductions.taskOfOrder(orderNo);
    if (id === null) return null;
    const attempts = await deductions.attempts(id);
    const own = attempts.some((one) => one.orderNo === orderNo && one.channelId === channel);
    return own ? id : null;
  }

  /** Copies are only counted: there may be thousands. */
  #journal(
    about: { channelId: ChannelId; verdict: CallbackVerdict; orderNo: string },
    received: () => Shown,
  ): void {
    const { calls, clock } = this.parts.services;
    const common = { startedAtMs: clock.nowMs(), durationMs: 0, httpStatus: null, detail: '' };
    calls.record({ ...common, ...about, operation: 'callback', sent: () => null, received });
  }

  #count(channelId: ChannelId, verdict: CallbackVerdict): void {
    const { callbacks, clock } = this.parts.services;
    callbacks.count(channelId, verdict, clock.nowMs());
  }
}
