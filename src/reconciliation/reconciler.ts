/**
 * One day of one channel, reconciled:
 *
 *   file ─ import ─ match ─┬─ differences: breaks open
 *      (whole or not)      ├─ provable ones: told to the engine, as evidence ─ match again
 *                          └─ what is no longer found closes; the report, with its control totals
 *
 * Every step may be cut off and every step may be done again: a statement counts whole or not at all, a
 * break has one key, evidence that says nothing new changes nothing, and a run that was left behind
 * writes no more.
 */
import type { Readable } from 'node:stream';
import { businessDate } from '../business-date.js';
import type { ChannelProfile, StatementTerms } from '../channels/profile.js';
import type { Clock } from '../clock.js';
import type { Log } from '../engine/ports.js';
import { RecoupError } from '../errors.js';
import { newTaskId, type ChannelId } from '../ids.js';
import { dayAfter, dayBeginsMs } from './day.js';
import { breakOf, type Difference } from './difference.js';
import { importStatement } from './import-statement.js';
import type {
  DayFees,
  Breaks,
  Found,
  KeptStatement,
  MatchDay,
  Matching,
  Run,
  Statements,
  Submit,
} from './ports.js';
import type { ExpectedStatement } from './read-statement.js';
import { isExplained, reportOf, type ReconciliationReport } from './report.js';
import { evidenceOf } from './statement-evidence.js';
import { writeStatement } from './write-statement.js';

export interface ReconcilerParts {
  readonly statements: Statements;
  readonly matching: Matching;
  readonly breaks: Breaks;
  readonly profiles: () => readonly ChannelProfile[];
  readonly submit: Submit;
  readonly clock: Clock;
  readonly log: Log;
  readonly zone: string;
}

export interface ReconcileRequest {
  readonly channelId: ChannelId;
  readonly date: string;
  /** The statement's file; none: the statement that was brought before is matched anew. */
  readonly file: string | null;
  readonly supersede: boolean;
  /** Who asks. */
  readonly by: string;
}

export interface Reconciled {
  readonly run: Run;
  readonly report: ReconciliationReport;
  readonly breaksOpen: number;
}

/** Evidence told to the engine at once; each is a run of a task. */
const submitsAtOnce = 8;
const provableAtOnce = 400;
/** A task in use elsewhere is free again soon. */
const submitTries = 3;
const submitPauseMs = 500;
const dayMs = 86_400_000;

export class Reconciler {
  constructor(private readonly parts: ReconcilerParts) {}

  /**
   * @throws RecoupError `channel_unknown`, `statement_unsupported`, `statement_missing`, what
   *   `importStatement` throws, and `reconciliation_busy`.
   */
  async run(request: ReconcileRequest): Promise<Reconciled> {
    const { statements, breaks, clock } = this.parts;
    const { channelId, date, file, supersede, by } = request;
    const profile = this.#profile(channelId);
    const expected = expectedOf(profile, channelId, date, this.parts.zone);
    const statement =
      file === null
        ? await statements.valid(channelId, date)
        : await importStatement(statements, clock, { path: file, expected, supersede, by });
    if (statement === null) throw new RecoupError('statement_missing', { channel_id: channelId });
    const day = this.#day(profile, statement);
    const id = newTaskId();
    await breaks.begin({ id, channelId, date, statementId: statement.id, by }, clock.nowMs());
    try {
      const report = await this.#matchAndMend(id, day, statement);
      const state = isExplained(report) ? 'complete' : 'unexplained';
      const now = clock.nowMs();
      await breaks.finish(id, day, report, state, businessDate(now, this.parts.zone), now);
      const run = await breaks.run(id);
      if (run === null) throw new Error(`reconciliation ${id} disappeared`);
      return { run, report, breaksOpen: await breaks.openCount(channelId, date) };
    } catch (error) {
      await breaks.abandon(id, clock.nowMs()).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Our own book of a day, in the form of the channel's statement.
   *
   * @throws RecoupError `channel_unknown`, `statement_unsupported`.
   */
  book(channelId: ChannelId, date: string): Readable {
    const profile = this.#profile(channelId);
    const expected = expectedOf(profile, channelId, date, this.parts.zone);
    const rows = this.parts.matching.book(this.#day(profile, { id: '0', channelId, date }));
    return writeStatement(rows, expected.format, expected);
  }

  async #matchAndMend(
    runId: string,
    day: MatchDay,
    statement: KeptStatement,
  ): Promise<ReconciliationReport> {
    const first = await this.#match(runId, day);
    const mended = await this.#mend(runId, day);
    const matched = mended === 0 ? first : await this.#match(runId, day);
    return reportOf(statement, matched, mended);
  }

  async #match(runId: string, day: MatchDay) {
    const { matching, breaks, clock } = this.parts;
    const met = new Map<string, number>();
    const numbered = (difference: Difference) => {
      const key = `${difference.kind} ${difference.type} ${difference.orderNo}`;
      const occurrence = met.get(key) ?? 0;
      met.set(key, occurrence + 1);
      return breakOf(difference, occurrence);
    };
    const found: Found = {
      differences: async (some) =>
        await breaks.record(runId, day, some.map(numbered), clock.nowMs()),
      held: async (some) => await breaks.hold(runId, day, some, clock.nowMs()),
      progress: async () => await breaks.touch(runId, clock.nowMs()),
    };
    return await matching.match(day, found);
  }

  /** Tells the engine every success that it does not know of. Returns how many it took. */
  async #mend(runId: string, day: MatchDay): Promise<number> {
    const { breaks, clock } = this.parts;
    let mended = 0;
    for (let after = '0'; ;) {
      await breaks.touch(runId, clock.nowMs());
      const some = await breaks.provable(day, after, provableAtOnce);
      const last = some.at(-1);
      if (last === undefined) return mended;
      const waiting = [...some];
      const lane = async (): Promise<void> => {
        for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
          if (await this.#submit(one.taskId, evidenceOf(day, one))) mended += 1;
        }
      };
      await Promise.all(Array.from({ length: submitsAtOnce }, lane));
      after = last.breakId;
    }
  }

  /** Whoever holds the task, or a database that does not answer, leaves the break open until the next run. */
  async #submit(...[taskId, evidence]: Parameters<Submit>): Promise<boolean> {
    const { submit, clock, log } = this.parts;
    for (let tries = 1; ; tries += 1) {
      try {
        if (await submit(taskId, evidence)) return true;
      } catch (error) {
        log.warn('evidence of a statement not taken', { task_id: taskId, why: String(error) });
      }
      if (tries === submitTries) return false;
      await clock.sleep(submitPauseMs);
    }
  }

  #profile(channelId: ChannelId): ChannelProfile {
    const profile = this.parts.profiles().find(({ id }) => id === channelId);
    if (profile === undefined) throw new RecoupError('channel_unknown', { channel_id: channelId });
    return profile;
  }

  #day(
    profile: ChannelProfile,
    { id, channelId, date }: Pick<KeptStatement, 'id' | 'channelId' | 'date'>,
  ): MatchDay {
    const { fees, statement: terms } = profile;
    if (terms === undefined) throw unsupported(channelId);
    const { zone, clock } = this.parts;
    const heldUntil = dayAfter(date, terms.held_days);
    const today = businessDate(clock.nowMs(), zone);
    return {
      channelId,
      date,
      statementId: id,
      fees: feesOf(fees, terms),
      payoutFees: feesOf(profile.payouts?.fees ?? fees, terms),
      firstHourEndsMs: dayBeginsMs(date, zone) + terms.midnight_slack_ms,
      lastHourBeginsMs: dayBeginsMs(dayAfter(date), zone) - terms.midnight_slack_ms,
      heldUntil: heldUntil >= today ? heldUntil : null,
    };
  }
}

const feesOf = (fees: ChannelProfile['fees'], { fee_rounding }: StatementTerms): DayFees => ({
  flatMinor: fees.flat_minor,
  basisPoints: fees.basis_points,
  maxMinor: fees.max_minor ?? null,
  rounding: fee_rounding,
});

function expectedOf(
  { merchant_id: merchantId, statement }: ChannelProfile,
  channelId: ChannelId,
  date: string,
  zone: string,
): ExpectedStatement {
  if (statement === undefined) throw unsupported(channelId);
  const beginsMs = dayBeginsMs(date, zone);
  return {
    channelId,
    merchantId,
    date,
    format: statement.format,
    fromMs: beginsMs - dayMs,
    untilMs: beginsMs + 2 * dayMs,
  };
}

const unsupported = (channelId: ChannelId): RecoupError =>
  new RecoupError('statement_unsupported', { channel_id: channelId });
