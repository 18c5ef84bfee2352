/**
 * The settlement sweep: the last sentinel of top-ups. Whatever has been paid for longer than an hour
 * and has not ended is looked at, by the business table and not by the engine's bookkeeping, and its
 * task is run: the flow then asks the card system for the truth, finishes what was credited, and voids
 * and gives back what was not. The sweep decides nothing about money.
 *
 * A run is a plain wake-up wherever an ask is due anyway. Only where the poll schedule has ended, and
 * a person waits, does the sweep have it asked anew, each time after a longer pause, so that a card
 * system that is away for days does not fill the log.
 */
import type { Clock } from '../clock.js';
import type { Evidence } from '../engine/flow.js';
import type { RunOutcome } from '../engine/executor.js';
import type { Log } from '../engine/ports.js';
import type { TaskId } from '../ids.js';
import { every, type Interval } from '../interval.js';

/** What the sweep needs of the top-ups. `store/` provides it. */
export interface Unsettled {
  /**
   * Takes top-ups that should have ended by now, longest overdue first, and puts each off by a pause
   * that doubles with every look, so that several instances share a sweep without meeting.
   */
  claimUnsettled(claim: {
    readonly nowMs: number;
    readonly pauseMs: number;
    readonly pauseMaxMs: number;
    readonly limit: number;
  }): Promise<readonly TaskId[]>;
}

export interface SettlementSettings {
  readonly intervalMs: number;
  readonly concurrency: number;
}

export type SettlementReport = Readonly<
  Partial<Record<RunOutcome | 'threw' | 'looked' | 'asked', number>>
>;

const pageSize = 64;
/** However long nothing is known: no longer than this between two looks. */
const pauseMaxMs = 4 * 3_600_000;

export class Settlement {
  readonly #sweep: Interval;

  constructor(
    private readonly unsettled: Unsettled,
    private readonly run: (task: TaskId, evidence?: Evidence) => Promise<RunOutcome>,
    private readonly settings: SettlementSettings,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const round = async (signal: AbortSignal): Promise<void> => {
      const report = await this.runOnce(signal);
      if (report.looked !== undefined) this.log.info('settlement', { ...report });
    };
    this.#sweep = every(settings.intervalMs, 'the settlement sweep', round, { clock, log });
  }

  start(): void {
    this.#sweep.start();
  }

  /** Ends after the sweep under way. */
  async close(): Promise<void> {
    await this.#sweep.close();
  }

  async runOnce(signal?: AbortSignal): Promise<SettlementReport> {
    const report: Record<string, number> = {};
    const count = (what: string): void => void (report[what] = (report[what] ?? 0) + 1);
    // One moment for the whole sweep: what it puts off is not met by it again, so it ends.
    const nowMs = this.clock.nowMs();
    const { intervalMs: pauseMs, concurrency } = this.settings;
    for (;;) {
      const claim = { nowMs, pauseMs, pauseMaxMs, limit: pageSize };
      const page = await this.unsettled.claimUnsettled(claim);
      const left = [...page];
      const lane = async (): Promise<void> => {
        for (let task = left.shift(); task !== undefined; task = left.shift()) {
          if (signal?.aborted === true) return;
          count('looked');
          count(await this.#settle(task, () => count('asked')));
        }
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, page.length) }, lane));
      if (page.length < pageSize || signal?.aborted === true) return report;
    }
  }

  /** One top-up that cannot be run must not keep the others from it. */
  async #settle(task: TaskId, asked: () => void): Promise<RunOutcome | 'threw'> {
    try {
      const outcome = await this.run(task);
      if (outcome !== 'review') return outcome;
      asked();
      return await this.run(task, { kind: 'ask', by: 'settlement', once: true });
    } catch (error) {
      this.log.error('top-up not settled', { task_id: task, why: String(error) });
      return 'threw';
    }
  }
}
