import type { Clock } from '../clock.js';
import type { Attempt } from '../engine/attempt.js';
import { kindStartedBy, type Task } from '../engine/tasks.js';
import { encodeEntry, type Entry } from '../engine/entries.js';
import { StaleWriter, type Append, type Journal } from '../engine/journal.js';
import type { Log } from '../engine/ports.js';
import type { TaskId } from '../ids.js';
import { changesOf } from './changes.js';
import { selectRows, sqlTime, type Database } from './database.js';
import { GroupCommit, type GroupCommitSettings } from './group-commit.js';
import { LogReads } from './log-reads.js';
import { schedulesEnding, type WantsNotice } from './notice-rows.js';
import { project, type Row } from './projections.js';
import { commitWhole } from './whole-transaction.js';

export const defaultGroupCommit: GroupCommitSettings = {
  committers: 2,
  batchMax: 128,
  patienceMs: 15_000,
};

/** The journal on MariaDB: the log and its projections, in one transaction for many tasks. */
export class SqlJournal implements Journal<Task> {
  readonly #commits: GroupCommit<Append<Task>>;
  readonly #writes: Database;
  readonly #logs: LogReads;

  constructor(
    private readonly database: Database,
    private readonly zone: string,
    clock: Clock,
    private readonly log: Log,
    private readonly options: Partial<GroupCommitSettings> & {
      /** Connections for the transactions alone (`bundles`), so that they never wait behind reads. */
      readonly writes?: Database;
      /** Which notices are written with the entries; none, unless given. */
      readonly notices?: () => WantsNotice | Promise<WantsNotice>;
    } = {},
  ) {
    this.#writes = options.writes ?? database;
    this.#logs = new LogReads(database);
    const writer = {
      write: (appends: readonly Append<Task>[]) => this.#write(appends),
      findCommitted: (appends: readonly Append<Task>[]) => this.#findCommitted(appends),
      // An id is taken at (task, seq) alone: the projections' own keys have names.
      collision: ({ taskId, afterSeq }: Append<Task>, constraint: string) =>
        constraint === 'PRIMARY' ? new StaleWriter(taskId, afterSeq) : null,
    };
    this.#commits = new GroupCommit(writer, { ...defaultGroupCommit, ...options }, clock, log);
  }

  async load(taskId: TaskId): ReturnType<Journal<Task>['load']> {
    const entries = await this.loadAfter(taskId, 0);
    const [first] = entries;
    return first === undefined ? null : { kind: kindStartedBy(first.kind), entries };
  }

  async loadAfter(taskId: TaskId, afterSeq: number): Promise<readonly Entry[]> {
    return await this.#logs.after(taskId, afterSeq);
  }

  /** Not async, nor is what it calls: thousands wait here, and each frame that waits is half a kB. */
  append(append: Append<Task>): Promise<void> {
    const ending = schedulesEnding(append);
    const committed = this.#commits.add(append);
    return ending.length === 0
      ? committed
      : committed.then(() => this.#warnOfEnding(append.taskId, ending));
  }

  #warnOfEnding(taskId: TaskId, attempts: readonly Attempt[]): void {
    for (const { order, nextAskMs } of attempts) {
      this.log.warn('one ask is left before the poll schedule ends', {
        task_id: taskId,
        order_no: order.orderNo,
        channel_id: order.channelId,
        last_ask_at: new Date(nextAskMs ?? 0).toISOString(),
      });
    }
  }

  /**
   * The rows are made here and not when an append comes in: it waits for a transaction or two, and
   * what hundreds of waiting appends hold is copied by every garbage collection meanwhile.
   */
  async #write(appends: readonly Append<Task>[]): Promise<void> {
    const wanted = this.options.notices?.();
    const wants = wanted instanceof Promise ? await wanted : wanted;
    const changes = changesOf(
      appends.flatMap(logRows),
      appends.map((append) => project(append, this.zone, wants)),
    );
    await commitWhole(this.#writes, changes);
  }

  async #findCommitted(appends: readonly Append<Task>[]): Promise<ReadonlySet<Append<Task>>> {
    const places = appends.map(() => '(?,?)').join(',');
    const rows = await selectRows<{ task_id: string; writer: string }>(
      this.database,
      `SELECT task_id, writer FROM execution_log WHERE (task_id, seq) IN (${places})`,
      appends.flatMap((append) => [append.taskId, append.afterSeq + 1]),
    );
    const writers = new Map(rows.map((row) => [row.task_id, row.writer]));
    return new Set(appends.filter((append) => writers.get(append.taskId) === append.writer));
  }
}

const logRows = ({ taskId, afterSeq, entries, writer }: Append<Task>): Row[] =>
  entries.map((entry, index) => ({
    task_id: taskId,
    seq: afterSeq + index + 1,
    kind: entry.kind,
    at: sqlTime(entry.atMs),
    writer,
    body: encodeEntry(entry),
  }));
