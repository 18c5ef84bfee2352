/** What reconciliation needs of the store and of the engine. */
import type { StatementTerms } from '../channels/profile.js';
import type { Order } from '../engine/order.js';
import type { QueryAnswer } from '../engine/reply.js';
import type { ChannelId, OrderNo, TaskId } from '../ids.js';
import type { Difference, NewBreak, Tally } from './difference.js';
import type { ReconciliationReport } from './report.js';
import type { RowType, StatementFormat, StatementRow, StatementTotals } from './statement.js';

export interface KeptStatement {
  readonly id: string;
  readonly channelId: ChannelId;
  readonly date: string;
  readonly digest: string;
  readonly totals: StatementTotals;
}

export interface NewStatement {
  readonly channelId: ChannelId;
  readonly date: string;
  readonly digest: string;
  readonly format: StatementFormat;
  readonly by: string;
}

export interface Statements {
  /** The one that counts for a channel and date; null when there is none. */
  valid(channelId: ChannelId, date: string): Promise<KeptStatement | null>;
  /** Opens one that does not count yet. */
  begin(statement: NewStatement, nowMs: number): Promise<string>;
  addRows(id: string, rows: readonly StatementRow[], nowMs: number): Promise<void>;
  /**
   * Makes it count, if every row is there and nobody was quicker; what it supersedes no longer does.
   *
   * @returns false when it does not count: another is valid (and `supersede` was not said), or this
   *   one was taken for abandoned.
   */
  makeValid(
    id: string,
    totals: StatementTotals,
    supersede: boolean,
    nowMs: number,
  ): Promise<boolean>;
  /** Removes one that does not count, with its rows. */
  discard(id: string): Promise<void>;
  /** Removes what killed imports have left of a channel. */
  sweep(channelId: ChannelId, untouchedSinceMs: number): Promise<void>;
}

export interface DayFees {
  readonly flatMinor: bigint;
  readonly basisPoints: number;
  readonly maxMinor: bigint | null;
  readonly rounding: StatementTerms['fee_rounding'];
}

/** One day of one channel, with all that decides how a row matches. */
export interface MatchDay {
  readonly channelId: ChannelId;
  readonly date: string;
  readonly statementId: string;
  readonly fees: DayFees;
  /** Payouts are paid for apart. */
  readonly payoutFees: DayFees;
  /** An order begun before the first or ended after the second may stand in a day beside. */
  readonly firstHourEndsMs: number;
  readonly lastHourBeginsMs: number;
  /** The last date on which such an order is waited for; null when that is over already. */
  readonly heldUntil: string | null;
}

export interface HeldOrder {
  readonly type: RowType;
  readonly orderNo: string;
  readonly amountMinor: bigint;
}

export interface Matched {
  readonly theirs: readonly Tally[];
  readonly ours: readonly Tally[];
  /** Our side counted another way, without a join. */
  readonly oursCounted: readonly Omit<Tally, 'kind' | 'feeMinor'>[];
}

export interface Found {
  differences(found: readonly Difference[]): Promise<void>;
  held(found: readonly HeldOrder[]): Promise<void>;
  /** After each part, whatever was found in it. */
  progress(): Promise<void>;
}

export interface Matching {
  /** Holds both sides against each other in one snapshot; differences are given out as they are found. */
  match(day: MatchDay, found: Found): Promise<Matched>;
  /** Our own book of a day, in the order of its numbers. */
  book(day: Omit<MatchDay, 'statementId'>): AsyncIterable<readonly Omit<StatementRow, 'lineNo'>[]>;
}

/** A success in their statement of an order that our book holds as unknown, live or dead. */
export interface Provable {
  readonly breakId: string;
  readonly taskId: TaskId;
  readonly orderNo: OrderNo;
  readonly channelRef: string;
  readonly amountMinor: bigint;
  readonly lineNo: number;
  /** How often the channel lists it as captured. */
  readonly captures: number;
}

export type RunState = 'running' | 'complete' | 'unexplained' | 'abandoned';

export interface Run {
  readonly id: string;
  readonly channelId: ChannelId;
  readonly date: string;
  readonly state: RunState;
  readonly report: ReconciliationReport | null;
  readonly by: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

export interface BreakRecord extends NewBreak {
  readonly id: string;
  readonly channelId: ChannelId;
  readonly date: string;
  readonly openedAt: Date;
  readonly closedAt: Date | null;
  readonly closedBy: string | null;
  readonly resolution: string | null;
}

/** The breaks and runs of all channels. What a run writes it writes only while it still runs. */
export interface Breaks {
  /** @throws RecoupError `reconciliation_busy` while another of the channel runs. */
  begin(
    run: { id: string; channelId: ChannelId; date: string; statementId: string; by: string },
    nowMs: number,
  ): Promise<void>;
  /**
   * Opens what is new, and opens again what had been closed as matched; what a person resolved stays.
   *
   * @throws RecoupError `reconciliation_busy` once the run was taken for dead: another may run.
   */
  record(runId: string, day: MatchDay, breaks: readonly NewBreak[], nowMs: number): Promise<void>;
  hold(runId: string, day: MatchDay, held: readonly HeldOrder[], nowMs: number): Promise<void>;
  /** A run that goes on says so; silent for minutes it is taken for dead. @throws as `record` */
  touch(runId: string, nowMs: number): Promise<void>;
  provable(day: MatchDay, afterBreakId: string, limit: number): Promise<readonly Provable[]>;
  /** Closes what the run no longer found, looks again at what waits, and ends the run. */
  finish(
    runId: string,
    day: MatchDay,
    report: ReconciliationReport,
    state: RunState,
    today: string,
    nowMs: number,
  ): Promise<void>;
  abandon(runId: string, nowMs: number): Promise<void>;
  run(id: string): Promise<Run | null>;
  /** Newest first. */
  runs(filter: {
    readonly channelId?: ChannelId | undefined;
    readonly date?: string | undefined;
    readonly limit: number;
  }): Promise<readonly Run[]>;
  openCount(channelId: ChannelId, date: string): Promise<number>;
  /** Oldest first. */
  list(filter: {
    readonly channelId?: ChannelId | undefined;
    readonly date?: string | undefined;
    readonly open?: boolean | undefined;
    readonly afterId?: string | undefined;
    readonly limit: number;
  }): Promise<readonly BreakRecord[]>;
  /** By a person's decision. False when it is not open. */
  resolve(id: string, by: string, resolution: string, nowMs: number): Promise<boolean>;
}

/** What a statement says of an order, for the engine to judge like any other answer. */
export interface StatementEvidence {
  readonly kind: 'statement';
  readonly orderNo: OrderNo;
  readonly read: (order: Order) => QueryAnswer;
  /** Names the statement and the line. */
  readonly source: string;
  readonly captures: number;
}

/** True when the evidence is in the log, or says nothing new. False: not now. */
export type Submit = (taskId: TaskId, evidence: StatementEvidence) => Promise<boolean>;
