import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { Batch, Batches, BatchItem, ItemResult } from './batch.js';
import type { DeductionDesk } from './deduction-desk.js';

export interface BatchRunnerSettings {
  readonly workerId: string;
  /** Deductions whose first run has not ended, at most. */
  readonly inFlightMax: number;
  readonly idleMs: number;
  /** A worker that dies with claimed rows keeps them from the others for so long. */
  readonly claimMs: number;
}

const chunkRows = 100;
/** A row that no channel can take for now is looked at again after this. */
const laterMs = 15_000;

/** Reasons that pass by themselves, or when somebody resumes the channel. */
const passing = new Set(['breaker_open', 'maintenance', 'paused']);

/**
 * Starts the rows of running batches. Several workers share a batch by claiming rows; a row claimed
 * by a worker that died is claimed again, and its request key finds the deduction it had started.
 */
export class BatchRunner {
  readonly #stop = new AbortController();
  #loop: Promise<void> | null = null;
  #inFlight = 0;
  #room: (() => void)[] = [];

  constructor(
    private readonly batches: Batches,
    private readonly desk: DeductionDesk,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly settings: BatchRunnerSettings,
  ) {}

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Takes no further row, and waits for those under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let started = 0;
      try {
        for (const batch of await this.batches.inState('running'))
          started += await this.runOnce(batch);
      } catch (error) {
        this.log.warn('batch round did not finish', { why: String(error) });
      }
      if (started === 0) await this.clock.sleep(this.settings.idleMs, this.#stop.signal);
    }
  }

  /** One round over a batch: two chunks at a time, until nothing is to be claimed. */
  async runOnce(batch: Batch): Promise<number> {
    const lane = async (): Promise<number> => {
      let handled = 0;
      while (!this.#stop.signal.aborted) {
        const items = await this.#claim(batch.id);
        if (items.length === 0) break;
        const results = await Promise.all(items.map((item) => this.#startItem(batch.id, item)));
        await this.batches.record(
          batch.id,
          this.settings.workerId,
          results.filter((result) => result !== null),
        );
        handled += items.length;
      }
      return handled;
    };
    const lanes = Math.max(2, Math.ceil(this.settings.inFlightMax / chunkRows));
    // A lane that failed must not leave the others running beside the next round.
    const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
    const failed = ended.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    await this.#endIfDone(batch.id);
    return ended.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0);
  }

  async #claim(batchId: TaskId): Promise<readonly BatchItem[]> {
    const nowMs = this.clock.nowMs();
    return await this.batches.claim(batchId, {
      by: this.settings.workerId,
      nowMs,
      untilMs: nowMs + this.settings.claimMs,
      limit: Math.min(chunkRows, this.settings.inFlightMax),
    });
  }

  /** Null: left to be claimed again. */
  async #startItem(batchId: TaskId, item: BatchItem): Promise<ItemResult | null> {
    const { lineNo, repayment } = item;
    await this.#enter();
    let left = false;
    const leave = (): void => {
      if (!left) this.#leave();
      left = true;
    };
    try {
      if (this.#stop.signal.aborted) {
        leave();
        // Given back at once: whoever goes on need not wait until the claim runs out.
        return { lineNo, laterMs: this.clock.nowMs() };
      }
      const { deductionId, finished } = await this.desk.start(
        {
          source: 'batch',
          repaymentId: repayment.id,
          amountMinor: item.amountMinor,
          requestKey: `batch:${batchId}:${repayment.id}`.slice(0, 200),
          requestDigest: digestOf(item),
          batchId,
          agent: null,
        },
        repayment,
      );
      finished
        .catch((error: unknown) => {
          // The deduction is accepted and in the in-flight log: the compensator goes on with it.
          this.log.warn('deduction interrupted', { task_id: deductionId, why: String(error) });
        })
        .finally(leave);
      return { lineNo, deductionId };
    } catch (error) {
      leave();
      return this.#refused(lineNo, error);
    }
  }

  #refused(lineNo: number, error: unknown): ItemResult | null {
    if (!(error instanceof RecoupError)) {
      this.log.error('batch row not started', { line: lineNo, why: String(error) });
      return null;
    }
    const { code, details } = error;
    if (code === 'request_repeated')
      return { lineNo, deductionId: String(details['deduction_id']) };
    if (code === 'journal_unavailable') return null;
    const nowMs = this.clock.nowMs();
    if (code === 'busy') return { lineNo, laterMs: nowMs + 1_000 };
    const rejected = (details['rejected'] ?? []) as readonly { code: string }[];
    if (code === 'no_eligible_channel' && rejected.some((one) => passing.has(one.code))) {
      return { lineNo, laterMs: nowMs + laterMs };
    }
    return { lineNo, code, detail: JSON.stringify(details) };
  }

  async #endIfDone(batchId: TaskId): Promise<void> {
    const { pending, processing } = await this.batches.progress(batchId);
    if (pending > 0 || processing > 0) return;
    if (await this.batches.move(batchId, 'running', 'done', this.clock.nowMs())) {
      this.log.info('batch done', { batch_id: batchId });
    }
  }

  async #enter(): Promise<void> {
    while (this.#inFlight >= this.settings.inFlightMax) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    this.#inFlight += 1;
  }

  #leave(): void {
    this.#inFlight -= 1;
    this.#room.shift()?.();
  }
}

const digestOf = ({ repayment, amountMinor }: BatchItem): string =>
  createHash('sha256')
    .update(`${repayment.id}:${amountMinor ?? 'all'}`)
    .digest('hex');
