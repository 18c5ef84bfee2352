/**
 * The active check: the second pair of eyes. What is *deducting* for longer than it should is held
 * against its log, its attempts, its channel and the ledger, by what the business tables say and not
 * by the engine's own bookkeeping, since that may be what broke.
 *
 *   the in-flight row or its wake-up is lost ──── restored by the log, and the task is run
 *   an answer is due ──────────────────────────── the task is run: it asks its channel
 *   settled, and the ledger was never told ────── the message is written again, from the log
 *   log and tables disagree ───────────────────┐
 *   the log cannot be read ────────────────────┼─ a person decides: a finding is a case
 *   running it fails, or does not move it ─────┘
 *
 * It asks when the channel's poll schedule says so. Starting the schedule anew from here would put
 * off, again and again, the day on which it ends and a person is called.
 */
import type { Clock } from '../clock.js';
import type { RunOutcome } from '../engine/executor.js';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import { every, type Interval } from '../interval.js';
import { amountMinor } from '../money.js';
import type { CheckedBook, Finding, Look, MessageLook } from './active-check-ports.js';

export interface ActiveCheckSettings {
  /** How long a task may take before it is looked into, ms. */
  readonly ageMs: number;
  readonly concurrency: number;
  readonly intervalMs: number;
}

export interface ActiveCheckReport {
  readonly looked: number;
  readonly ran: number;
  readonly mended: number;
  readonly opened: number;
  readonly inOrder: number;
}

/** A look takes a run at most, and a run no longer than its lock. */
const claimMs = 120_000;
const followPage = 1_000;
/** Bounds a sweep: what is left waits for the next one. */
const pagesMax = 100;
const claimPage = 64;
/** What is still open is looked at again at this share of the age, and more and more rarely. */
const againShare = 4;
const againTimesMax = 24;

export class ActiveCheck {
  readonly #sweep: Interval;

  constructor(
    private readonly book: CheckedBook,
    private readonly run: (task: TaskId) => Promise<RunOutcome>,
    private readonly settings: ActiveCheckSettings,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const round = async (signal: AbortSignal): Promise<void> => {
      const report = await this.runOnce(signal);
      if (report.looked > 0) this.log.info('active check', { ...report });
    };
    this.#sweep = every(settings.intervalMs, 'the active check', round, { clock, log });
  }

  start(): void {
    this.#sweep.start();
  }

  /** Ends after the sweep under way. */
  async close(): Promise<void> {
    await this.#sweep.close();
  }

  async runOnce(signal?: AbortSignal): Promise<ActiveCheckReport> {
    // One moment for the whole sweep: what it puts off is not met by it again, so it ends.
    const nowMs = this.clock.nowMs();
    await this.#follow(nowMs - this.settings.ageMs, nowMs);
    const behind = await this.#lookAtLedger(nowMs);
    const total = { looked: 0, ran: 0, mended: 0, opened: behind, inOrder: 0 };
    for (let page = 0; page < pagesMax; page += 1) {
      if (signal?.aborted === true) break;
      const claim = { nowMs, untilMs: nowMs + claimMs, limit: claimPage };
      const due = await this.book.claimDue(claim);
      const left = [...due];
      const lane = async (): Promise<void> => {
        for (let one = left.shift(); one !== undefined; one = left.shift()) {
          const result = await this.#checkSafely(one.task, one.checks);
          total.looked += 1;
          total.ran += result.ran ? 1 : 0;
          total.mended += result.mended;
          total.opened += result.opened;
          total.inOrder += result.inOrder ? 1 : 0;
        }
      };
      await Promise.all(Array.from({ length: this.settings.concurrency }, lane));
      if (due.length < claimPage) break;
    }
    return total;
  }

  /** Looks at one task now; true when everything about it is in order. */
  async check(task: TaskId, checks = 0): Promise<Checked> {
    const { book, clock } = this;
    const before = await book.look(task);
    const mended = await this.#mend(task, before);
    const ran = isLive(before) && before.differences.length === 0;
    const trouble = ran ? await this.#runOne(task) : null;
    const after = ran || mended > 0 ? await book.look(task) : before;
    const findings = this.#findings(after, trouble);
    const found = { amountMinor: after.amountMinor, findings };
    const opened = await book.record(task, found, clock.nowMs());
    const settled = after.log.kind === 'folded' && after.log.phase === 'ended';
    const underWay = after.messages.some(({ state }) => state === 'waiting');
    const inOrder = findings.length === 0;
    if (settled && inOrder && !underWay && mended === 0) await book.unfollow(task);
    else await book.lookAgain(task, clock.nowMs() + this.#againMs(checks));
    return { ran, mended, opened, inOrder };
  }

  async #follow(beforeMs: number, nowMs: number): Promise<void> {
    for (let page = 0; page < pagesMax; page += 1) {
      if ((await this.book.followLive(beforeMs, nowMs, followPage)) < followPage) break;
    }
    for (let page = 0; page < pagesMax; page += 1) {
      if (!(await this.book.followUnposted(beforeMs, nowMs, followPage))) break;
    }
  }

  /** Not a finding for each message: when the ledger is away, all of them wait. */
  async #lookAtLedger(nowMs: number): Promise<number> {
    const { count, oldestAtMs } = await this.book.waitingMessages(nowMs - this.settings.ageMs);
    const since = new Date(oldestAtMs ?? nowMs).toISOString();
    const evidence = `${count} messages wait for the ledger, the oldest since ${since}`;
    const findings = count === 0 ? [] : [{ kind: 'ledger_behind' as const, evidence }];
    return await this.book.record(null, { amountMinor: amountMinor(0), findings }, nowMs);
  }

  /** One task that cannot be looked at must not keep the others from it. */
  async #checkSafely(task: TaskId, checks: number): Promise<Checked> {
    try {
      return await this.check(task, checks);
    } catch (error) {
      this.log.error('task not checked', { task_id: task, why: whyOf(error) });
      return { ran: false, mended: 0, opened: 0, inOrder: false };
    }
  }

  async #mend(task: TaskId, look: Look): Promise<number> {
    let mended = 0;
    if (lacksWakeUp(look) && look.differences.length === 0) {
      await this.book.restoreInFlight(task, this.clock.nowMs());
      this.log.warn('wake-up restored', { task_id: task, was: look.inFlight });
      mended += 1;
    }
    for (const message of look.messages.filter(isUntold)) {
      await this.book.restoreMessage(message, this.clock.nowMs());
      const { topic, state } = message;
      this.log.warn('ledger told again', { task_id: task, topic, was: state });
      mended += 1;
    }
    return mended;
  }

  /** Null: it ran. What it came to is seen by looking again. */
  async #runOne(task: TaskId): Promise<Finding | null> {
    try {
      const outcome = await this.run(task);
      this.log.info('active check ran a task', { task_id: task, outcome });
      return null;
    } catch (error) {
      // The database away is nobody's poison: the next sweep comes.
      if (error instanceof RecoupError) throw error;
      return { kind: 'cannot_run', evidence: `running it throws: ${whyOf(error)}` };
    }
  }

  #findings(look: Look, trouble: Finding | null): readonly Finding[] {
    const { log, differences } = look;
    if (log.kind === 'missing') {
      return [{ kind: 'log_missing', evidence: 'there is a row and no execution log' }];
    }
    if (log.kind === 'unreadable') return [{ kind: 'log_unreadable', evidence: log.why }];
    const findings: Finding[] = trouble === null ? [] : [trouble];
    if (differences.length > 0) {
      const more = differences.length > differencesMax ? ', …' : '';
      const told = differences.slice(0, differencesMax).join('; ');
      findings.push({ kind: 'tables_differ', evidence: `not as the log says: ${told}${more}` });
    }
    // A live task always knows what it waits for; without a wake-up nothing will ever move it.
    if (trouble === null && log.phase === 'live' && look.inFlight !== 'present') {
      const since = new Date(log.lastEntryAtMs).toISOString();
      findings.push({ kind: 'not_moving', evidence: `nothing wakes it; last entry ${since}` });
    }
    return findings;
  }

  #againMs(checks: number): number {
    return (this.settings.ageMs / againShare) * Math.min(checks + 1, againTimesMax);
  }
}

export interface Checked {
  readonly ran: boolean;
  readonly mended: number;
  /** Findings that are new. */
  readonly opened: number;
  readonly inOrder: boolean;
}

const differencesMax = 6;

/** What waits for a person needs no wake-up, but its row: it could not end without it. */
const lacksWakeUp = ({ log, inFlight }: Look): boolean =>
  log.kind === 'folded' &&
  ((log.phase === 'live' && inFlight !== 'present') ||
    (log.phase === 'review' && inFlight === 'missing'));

const isLive = ({ log }: Look): boolean => log.kind === 'folded' && log.phase === 'live';

const isUntold = ({ state }: MessageLook): boolean => state === 'missing' || state === 'not_posted';

/** Never a statement's own words: a driver quotes what was written. */
function whyOf(error: unknown): string {
  const { name = 'Error', code, message = '' } = error as Partial<Error & { code: string }>;
  return code === undefined ? `${name}: ${message}`.slice(0, 300) : `${name} ${code}`;
}
