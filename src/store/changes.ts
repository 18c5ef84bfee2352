/**
 * The statements of one transaction of the journal: rows of many tasks, table by table, in an order that
 * no two transactions take differently.
 */
import {
  ascii,
  deleteOf,
  insertOf,
  insertSparse,
  text,
  updateOf,
  type BulkTarget,
  type BulkUpdate,
} from './bulk.js';
import type { Projected, Row } from './rows.js';
import type { Change } from './whole-transaction.js';

/** How a task stands: in the table of every kind. */
const standing = {
  status: ascii(40),
  failure_code: ascii(40),
  failure_detail: text(500),
  attempts: 'INT',
  ended_at: 'DATETIME(3)',
} as const;

/** The order that did what the task is for. */
const paidBy = { channel_id: ascii(40), order_no: ascii(64) } as const;

const taskUpdate = (table: string, own: BulkUpdate['values']): BulkUpdate => ({
  table,
  key: { id: ascii(64) },
  values: { ...standing, ...own },
});

const deductionUpdate = taskUpdate('deduction', paidBy);
const refundUpdate = taskUpdate('refund', { order_no: ascii(64) });
const withdrawalUpdate = taskUpdate('withdrawal', { ...paidBy, gives_back: 'INT' });
const topUpUpdate = taskUpdate('top_up', {
  ...paidBy,
  stage: ascii(40),
  paid_at: 'DATETIME(3)',
  settle_at: 'DATETIME(3)',
  credit_unknown_since: 'DATETIME(3)',
  credited_at: 'DATETIME(3)',
  refunded_at: 'DATETIME(3)',
});

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

const memberUpdate: BulkUpdate = {
  table: 'member_account',
  key: { id: ascii(64), currency: ascii(3) },
  values: {},
  deltas: { balance_minor: 'balance' },
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
export function changesOf(log: readonly Row[], all: readonly Projected[]): readonly Change[] {
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
    remove(inFlightUpdate, one('inFlightDelete')),
    insert('in_flight', 'task_id', one('inFlightReopen'), reopened),
    insert('review_case', 'task_id', many('caseInserts')),
    update(caseUpdate, many('caseUpdates')),
    insert('outbox', 'message_key', many('outbox')),
    // An event is told once: a poll schedule that started anew may end again.
    insert('notice', 'message_id', many('notices'), 'message_id = message_id'),
    update(repaymentUpdate, summed(one('repaymentDelta'), repaymentSums)),
  ].filter((change) => change !== null);
}

/** A row that should not be there must not keep a payment that came late out of the log. */
const reopened = Object.keys(inFlightUpdate.values)
  .map((column) => `${column} = VALUES(${column})`)
  .join(', ');

function insert(
  table: string,
  key: string,
  rows: readonly Row[],
  onDuplicate?: string,
): Change | null {
  if (rows.length === 0) return null;
  const sorted = byKey(rows, key);
  // What is changed of a row that is there is changed to all that is given, nulls among it.
  const statement =
    onDuplicate === undefined ? insertSparse(table, sorted) : insertOf(table, sorted, onDuplicate);
  return { ...statement, table, rowsAtLeast: 0 };
}

function update(how: BulkUpdate, rows: readonly Row[]): Change | null {
  if (rows.length === 0) return null;
  const [key = ''] = Object.keys(how.key);
  // Whether a repayment or a member is there is for the foreign keys to say.
  const rowsAtLeast = foreign.includes(how.table) ? 0 : rows.length;
  return { ...updateOf(how, byKey(rows, key)), table: how.table, rowsAtLeast };
}

function remove(what: BulkTarget, rows: readonly Row[]): Change | null {
  if (rows.length === 0) return null;
  const [key = ''] = Object.keys(what.key);
  return { ...deleteOf(what, byKey(rows, key)), table: what.table, rowsAtLeast: rows.length };
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
