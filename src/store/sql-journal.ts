import type { Clock } from '../clock.js';
import { kindStartedBy, type Task } from '../engine/tasks.js';
import { decodeEntry, encodeEntry } from '../engine/entries.js';
import { StaleWriter, type Append, type Journal } from '../engine/journal.js';
import type { Log } from '../engine/ports.js';
import type { TaskId } from '../ids.js';
import {
  ascii,
  insertOf,
  insertSparse,
  runAll,
  text,
  updateOf,
  type BulkStatement,
  type BulkUpdate,
} from './bulk.js';
import { selectRows, sqlTime, takesBundles, type Database } from './database.js';
import { GroupCommit, type GroupCommitSettings } from './group-commit.js';
import { schedulesEnding, type WantsNotice } from './notice-rows.js';
import { project, type Projected, type Row } from './projections.js';

export const defaultGroupCommit: GroupCommitSettings = {
  committers: 2,
  batchMax: 256,
  patienceMs: 15_000,
};

/** The journal on MariaDB: the log and its projections, in one transaction for many tasks. */
export class SqlJournal implements Journal<Task> {
  readonly #commits: GroupCommit<Append<Task>>;
  readonly #writes: Database;

  constructor(
    private readonly database: Database,
    private readonly zone: string,
    clock: Clock,
    private readonly log: Log,
    private readonly options: Partial<GroupCommitSettings> & {
      /** Connections for the transactions alone, so that they never wait behind reads. */
      readonly writes?: Database;
      /** Which notices are written with the entries; none, unless given. */
      readonly notices?: () => WantsNotice | Promise<WantsNotice>;
    } = {},
  ) {
    this.#writes = options.writes ?? database;
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
    const rows = await selectRows<{ seq: number; kind: string; at: Date; body: string }>(
      this.database,
      'SELECT seq, kind, at, body FROM execution_log WHERE task_id = ? ORDER BY seq',
      [taskId],
    );
    if (rows.length === 0) return null;
    const gap = rows.find((row, index) => row.seq !== index + 1);
    if (gap !== undefined) throw new Error(`the log of ${taskId} has a gap before ${gap.seq}`);
    const entries = rows.map((row) => decodeEntry(row.kind, row.at.getTime(), row.body));
    return { kind: kindStartedBy(entries[0]?.kind ?? 'accepted'), entries };
  }

  async append(append: Append<Task>): Promise<void> {
    await this.#commits.add(append);
    for (const { order, nextAskMs } of schedulesEnding(append)) {
      const about = {
        task_id: append.taskId,
        order_no: order.orderNo,
        channel_id: order.channelId,
      };
      this.log.warn('one ask is left before the poll schedule ends', {
        ...about,
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
    await this.#writes.transaction(async (trx) => {
      const found = await runAll(trx, changes, takesBundles(this.#writes));
      changes.forEach(({ table, rowsAtLeast }, index) => {
        const missing = rowsAtLeast - (found[index] ?? 0);
        // The log says that it was written: a row that is not there is a bug.
        if (missing > 0) throw new Error(`${missing} rows of ${table} are missing`);
      });
    });
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

const deductionUpdate: BulkUpdate = {
  table: 'deduction',
  key: { id: ascii(64) },
  values: {
    status: ascii(40),
    failure_code: ascii(40),
    failure_detail: text(500),
    channel_id: ascii(40),
    order_no: ascii(64),
    attempts: 'INT',
    ended_at: 'DATETIME(3)',
  },
};

const attemptUpdate: BulkUpdate = {
  table: 'attempt',
  key: { task_id: ascii(64), attempt_no: 'INT' },
  values: {
    status: ascii(40),
    captures: 'INT',
    channel_ref: text(128),
    decline_code: ascii(40),
    channel_code: text(64),
    proof: ascii(40),
    unknown_why: ascii(40),
    asks: 'INT',
    next_ask_at: 'DATETIME(3)',
    ended_at: 'DATETIME(3)',
  },
  deltas: { credited_minor: 'credited' },
};

const refundUpdate: BulkUpdate = {
  table: 'refund',
  key: { id: ascii(64) },
  values: {
    status: ascii(40),
    failure_code: ascii(40),
    failure_detail: text(500),
    order_no: ascii(64),
    attempts: 'INT',
    ended_at: 'DATETIME(3)',
  },
};

const withdrawalUpdate: BulkUpdate = {
  table: 'withdrawal',
  key: { id: ascii(64) },
  values: {
    status: ascii(40),
    failure_code: ascii(40),
    failure_detail: text(500),
    channel_id: ascii(40),
    order_no: ascii(64),
    attempts: 'INT',
    ended_at: 'DATETIME(3)',
  },
};

const memberUpdate: BulkUpdate = {
  table: 'member_account',
  key: { id: ascii(64), currency: ascii(3) },
  values: {},
  deltas: { balance_minor: 'balance' },
};

const topUpUpdate: BulkUpdate = {
  table: 'top_up',
  key: { id: ascii(64) },
  values: {
    status: ascii(40),
    stage: ascii(40),
    failure_code: ascii(40),
    failure_detail: text(500),
    channel_id: ascii(40),
    order_no: ascii(64),
    attempts: 'INT',
    paid_at: 'DATETIME(3)',
    settle_at: 'DATETIME(3)',
    credit_unknown_since: 'DATETIME(3)',
    credited_at: 'DATETIME(3)',
    refunded_at: 'DATETIME(3)',
    ended_at: 'DATETIME(3)',
  },
};

/** A refund takes from an attempt of another task. */
const captureUpdate: BulkUpdate = {
  table: 'attempt',
  key: { task_id: ascii(64), attempt_no: 'INT' },
  values: {},
  deltas: { credited_minor: 'credited', refund_minor: 'refund' },
};

const inFlightUpdate: BulkUpdate = {
  table: 'in_flight',
  key: { task_id: ascii(64) },
  values: {
    seq: 'INT',
    wake_at: 'DATETIME(3)',
    ended_at: 'DATETIME(3)',
    claimed_by: ascii(80),
    claimed_until: 'DATETIME(3)',
  },
};

const caseUpdate: BulkUpdate = {
  table: 'review_case',
  key: { task_id: ascii(64), case_no: 'INT' },
  values: { closed_at: 'DATETIME(3)', resolution: text(500) },
};

const repaymentUpdate: BulkUpdate = {
  table: 'repayment',
  key: { id: ascii(64) },
  values: {},
  deltas: { paid_minor: 'paid', collecting_minor: 'collecting' },
};

type FieldOf<T> = {
  [K in keyof Projected]: Projected[K] extends T ? K : never;
}[keyof Projected];

/** Rows in key order, and the log first: a stale writer is found out before it touches more. */
function changesOf(log: readonly Row[], all: readonly Projected[]): readonly Change[] {
  const one = (name: FieldOf<Row | null>): Row[] => present(all.map((p) => p[name]));
  const many = (name: FieldOf<readonly Row[]>): Row[] => all.flatMap((p) => p[name]);
  return [
    insert('execution_log', 'task_id', log),
    // Before the rows whose foreign keys would hold the account shared: two that then want it alone
    // would wait for each other.
    update(memberUpdate, summed(one('memberDelta'), memberSums)),
    insert('member_entry', 'cause_id', many('memberEntries')),
    insert('deduction', 'id', one('deductionInsert')),
    update(deductionUpdate, one('deductionUpdate')),
    insert('refund', 'id', one('refundInsert')),
    update(refundUpdate, one('refundUpdate')),
    insert('withdrawal', 'id', one('withdrawalInsert')),
    update(withdrawalUpdate, one('withdrawalUpdate')),
    insert('top_up', 'id', one('topUpInsert')),
    update(topUpUpdate, one('topUpUpdate')),
    update(attemptUpdate, many('attemptUpdates')),
    insert('attempt', 'task_id', many('attemptInserts')),
    update(captureUpdate, summed(one('captureDelta'), captureSums)),
    insert('in_flight', 'task_id', one('inFlightInsert')),
    update(inFlightUpdate, one('inFlightUpdate')),
    insert('in_flight', 'task_id', one('inFlightReopen'), reopened),
    insert('review_case', 'task_id', many('caseInserts')),
    update(caseUpdate, many('caseUpdates')),
    insert('outbox', 'message_key', many('outbox')),
    // An event is told once: a poll schedule that started anew may end again.
    insert('notice', 'message_id', many('notices'), 'message_id = message_id'),
    update(repaymentUpdate, summed(one('repaymentDelta'), repaymentSums)),
  ].filter((change) => change !== null);
}

const reopened = Object.keys(inFlightUpdate.values)
  .map((column) => `${column} = VALUES(${column})`)
  .join(', ');

interface Change extends BulkStatement {
  readonly table: string;
  readonly rowsAtLeast: number;
}

function insert(
  table: string,
  key: string,
  rows: readonly Row[],
  onDuplicate?: string,
): Change | null {
  if (rows.length === 0) return null;
  const sorted = byKey(rows, key);
  // What is changed of a row that is there is changed to all that is given, nulls among it.
  return onDuplicate === undefined
    ? { ...insertSparse(table, sorted), table, rowsAtLeast: rows.length }
    : { ...insertOf(table, sorted, onDuplicate), table, rowsAtLeast: 0 };
}

function update(how: BulkUpdate, rows: readonly Row[]): Change | null {
  if (rows.length === 0) return null;
  const [key = ''] = Object.keys(how.key);
  // Whether a repayment or a member is there is for the foreign keys to say.
  const rowsAtLeast = foreign.includes(how.table) ? 0 : rows.length;
  return { ...updateOf(how, byKey(rows, key)), table: how.table, rowsAtLeast };
}

const foreign: readonly string[] = ['repayment', 'member_account'];

const present = (rows: readonly (Row | null)[]): Row[] => rows.filter((row) => row !== null);

function byKey(rows: readonly Row[], key: string): readonly Row[] {
  return rows.toSorted((a, b) => (String(a[key]) < String(b[key]) ? -1 : 1));
}

interface Sums {
  readonly key: readonly string[];
  readonly sums: readonly string[];
}

const repaymentSums: Sums = { key: ['id'], sums: ['paid', 'collecting'] };
const memberSums: Sums = { key: ['id', 'currency'], sums: ['balance'] };
const captureSums: Sums = { key: ['task_id', 'attempt_no'], sums: ['credited', 'refund'] };

/** One row a target: a join updates each target row once, however many rows match it. */
function summed(deltas: readonly Row[], { key, sums }: Sums): readonly Row[] {
  const targets = new Map<string, Record<string, string | number | null>>();
  for (const delta of deltas) {
    const name = key.map((column) => delta[column]).join(' ');
    const target = targets.get(name);
    if (target === undefined) targets.set(name, { ...delta });
    else for (const sum of sums) target[sum] = plus(target[sum], delta[sum]);
  }
  return [...targets.values()];
}

const plus = (a: string | number | null = 0, b: string | number | null = 0): string =>
  (BigInt(a ?? 0) + BigInt(b ?? 0)).toString();
