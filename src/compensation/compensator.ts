import type { Clock } from '../clock.js';
import type { TaskKind } from '../engine/entries.js';
import type { RunOutcome } from '../engine/executor.js';
import type { Log } from '../engine/ports.js';
import type { TaskId } from '../ids.js';
import type { InFlightLog } from './sweep.js';

export interface CompensatorSettings {
  readonly instanceId: string;
  readonly kinds: readonly TaskKind[];
  readonly intervalMs: number;
  /** How long overdue a task must be: younger ones may still be in good hands. */
  readonly ageMs: number;
  /** Of each kind. */
  readonly concurrency: number;
}

/**
 * A task claimed and not resumed by then is free for the next sweep, at the most. Where sweeps look
 * for younger tasks the claim is as short as their age: a sweeper that dies must not keep others from
 * its tasks for longer than the one that died before it did. Claimed twice costs a look at the lock.
 */
const claimMaxMs = 120_000;
const pageSize = 200;

export interface SweepReport {
  readonly claimed: number;
  readonly outcomes: Readonly<Partial<Record<RunOutcome | 'threw', number>>>;
}

/** Told of every sweep of the interval; must not throw. */
export type SweepObserver = (kind: TaskKind, claimed: number, ms: number) => void;

type Outcomes = Partial<Record<RunOutcome | 'threw', number>>;

/**
 * The sweep: finds unfinished tasks that nobody moves and resumes them from their last logged entry,
 * by the same `run` as every other wake-up. It decides nothing. `runOnce` is the sweep; `start` is
 * the plain intervals around it, since what repairs must not depend on what broke. Each kind of task is
 * swept by itself: one whose third party hangs must not fill the pages, the lanes or the time of the
 * others.
 */
export class Compensator {
  readonly #stop = new AbortController();
  #loops: Promise<unknown> | null = null;

  constructor(
    private readonly inFlight: InFlightLog,
    private readonly resume: (taskId: TaskId) => Promise<RunOutcome>,
    private readonly settings: CompensatorSettings,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly observer?: SweepObserver,
  ) {}

  start(): void {
    this.#loops ??= Promise.all(
      this.settings.kinds.map((kind) =>
        this.#every(async () => {
          const startedMs = this.clock.monotonicMs();
          const report = await this.#sweep(kind);
          this.observer?.(kind, report.claimed, this.clock.monotonicMs() - startedMs);
          if (report.claimed > 0) this.log.info('sweep', { kind, ...report });
        }),
      ),
    );
  }

  /** Ends after the sweeps under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loops;
  }

  async #every(work: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // Instances started together by one deploy shall not sweep in step.
      const jitter = 0.9 + 0.2 * Math.random();
      await this.clock.sleep(this.settings.intervalMs * jitter, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      try {
        await work();
      } catch (error) {
        this.log.warn('sweep did not finish', { why: String(error) });
      }
    }
  }

  async runOnce(): Promise<SweepReport> {
    const sweeps = await Promise.all(this.settings.kinds.map((kind) => this.#sweep(kind)));
    const outcomes: Outcomes = {};
    for (const [outcome, count] of sweeps.flatMap((sweep) => Object.entries(sweep.outcomes))) {
      const known = outcome as keyof Outcomes;
      outcomes[known] = (outcomes[known] ?? 0) + count;
    }
    const claimed = sweeps.reduce((sum, sweep) => sum + sweep.claimed, 0);
    return { claimed, outcomes };
  }

  async #sweep(kind: TaskKind): Promise<SweepReport> {
    const outcomes: Outcomes = {};
    let claimed = 0;
    // One moment for the whole sweep: what it has claimed is not claimed by it again, so it ends.
    const nowMs = this.clock.nowMs();
    for (;;) {
      const page = await this.#claim(kind, nowMs);
      claimed += page.length;
      await this.#resumeAll(page, outcomes);
      if (page.length < pageSize || this.#stop.signal.aborted) break;
    }
    return { claimed, outcomes };
  }

  async #claim(kind: TaskKind, nowMs: number): Promise<readonly TaskId[]> {
    return await this.inFlight.claimOverdue({
      kind,
      overdueAtMs: nowMs - this.settings.ageMs,
      nowMs,
      claimUntilMs: nowMs + Math.min(claimMaxMs, this.settings.ageMs),
      by: this.settings.instanceId,
      limit: pageSize,
    });
  }

  async #resumeAll(page: readonly TaskId[], outcomes: Outcomes): Promise<void> {
    const left = [...page];
    const lane = async (): Promise<void> => {
      for (let task = left.shift(); task !== undefined; task = left.shift()) {
        if (this.#stop.signal.aborted) return;
        const outcome = await this.#resumeOne(task);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      }
    };
    const lanes = Math.min(this.settings.concurrency, page.length);
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  /** One task that cannot be resumed must not keep the others from it. */
  async #resumeOne(task: TaskId): Promise<RunOutcome | 'threw'> {
    try {
      return await this.resume(task);
    } catch (error) {
      this.log.error('task not resumed', { task_id: task, why: String(error) });
      return 'threw';
    }
  }
}
