/**
 * One task, by its log and by every table that should say the same. The rows that the log stands for
 * are computed by the projections themselves, as if the whole log had been appended at once.
 */
import type { Knex } from 'knex';
import type { Look, LogLook, MessageLook } from '../compensation/active-check-ports.js';
import { isBeforePeople, isUnderWay, taskFlow, type Task } from '../engine/tasks.js';
import { decodeEntry, type Entry } from '../engine/entries.js';
import { fold } from '../engine/flow.js';
import type { TaskId } from '../ids.js';
import { amountMinor } from '../money.js';
import { sumDifferences } from './active-check-sums.js';
import { selectRows, type Database } from './database.js';
import { project, type Projected, type Row } from './projections.js';

/** One moment: what commits meanwhile is seen everywhere or nowhere. */
export async function lookAt(
  database: Database,
  task: TaskId,
  { zone, booksAreOurs }: { readonly zone: string; readonly booksAreOurs: boolean },
): Promise<Look> {
  return await database.transaction(
    async (transaction) => {
      const [own] = await selectRows<{ amount: string }>(
        transaction,
        `SELECT amount_minor AS amount FROM deduction WHERE id = ?
         UNION ALL SELECT amount_minor FROM refund WHERE id = ?
         UNION ALL SELECT amount_minor FROM withdrawal WHERE id = ?
         UNION ALL SELECT amount_minor FROM top_up WHERE id = ?`,
        [task, task, task, task],
      );
      const amount = amountMinor(own?.amount ?? 0);
      const read = await readLog(transaction, task);
      const inFlight = await inFlightOf(transaction, task);
      if (!('state' in read)) {
        return { amountMinor: amount, log: read.log, differences: [], inFlight, messages: [] };
      }
      const { state, entries } = read;
      const all = {
        taskId: task,
        kind: state.kind,
        afterSeq: 0,
        entries,
        before: null,
        state,
      } as const;
      const expected = project({ ...all, wakeAtMs: null, writer: '' }, zone);
      return {
        amountMinor: amount,
        log: read.log,
        differences: [
          ...(await rowDifferences(transaction, task, expected)),
          ...(await sumDifferences(transaction, state)),
        ],
        inFlight,
        messages: await messagesOf(transaction, expected, booksAreOurs),
      };
    },
    { isolationLevel: 'repeatable read' },
  );
}

type Folded = Extract<LogLook, { kind: 'folded' }>;
type ReadLog =
  | { readonly log: Exclude<LogLook, Folded> }
  | { readonly log: Folded; readonly state: Task; readonly entries: readonly Entry[] };

const unreadable = (why: string): ReadLog => ({ log: { kind: 'unreadable', why } });

async function readLog(transaction: Knex.Transaction, task: TaskId): Promise<ReadLog> {
  const rows = await selectRows<{ seq: number; kind: string; at: Date; body: string }>(
    transaction,
    'SELECT seq, kind, at, body FROM execution_log WHERE task_id = ? ORDER BY seq',
    [task],
  );
  const last = rows.at(-1);
  if (last === undefined) return { log: { kind: 'missing' } };
  const gap = rows.find((row, index) => row.seq !== index + 1);
  if (gap !== undefined) return unreadable(`an entry is missing before ${gap.seq}`);
  try {
    const entries = rows.map((row) => decodeEntry(row.kind, row.at.getTime(), row.body));
    const state = fold(taskFlow, entries);
    if (state === null) return { log: { kind: 'missing' } };
    const open = isBeforePeople(state) ? 'review' : 'live';
    const phase = isUnderWay(state) ? open : 'ended';
    return {
      log: { kind: 'folded', phase, lastEntryAtMs: last.at.getTime() },
      state,
      entries,
    };
  } catch (error) {
    // Of our own making: an entry that is not known, or an invariant that is broken.
    const why = error instanceof SyntaxError ? 'an entry is no JSON' : (error as Error).message;
    return unreadable(why.slice(0, 500));
  }
}

async function inFlightOf(transaction: Knex.Transaction, task: TaskId): Promise<Look['inFlight']> {
  const [row] = await selectRows<{ wakeAt: Date | null }>(
    transaction,
    'SELECT wake_at AS wakeAt FROM in_flight WHERE task_id = ?',
    [task],
  );
  if (row === undefined) return 'missing';
  return row.wakeAt === null ? 'no_wake_up' : 'present';
}

/** Table by table, row by row, column by column; values stay here, but for states and counts. */
async function rowDifferences(
  transaction: Knex.Transaction,
  task: TaskId,
  expected: Projected,
): Promise<readonly string[]> {
  const tables: readonly (readonly [table: string, task: string, key: string, Row[]])[] = [
    ['deduction', 'id', 'id', present([expected.deductionInsert])],
    ['refund', 'id', 'id', present([expected.refundInsert])],
    ['withdrawal', 'id', 'id', present([expected.withdrawalInsert])],
    ['top_up', 'id', 'id', present([expected.topUpInsert])],
    // Not what was deposited: a deposit's id is its maker's.
    ['member_entry', "kind <> 'deposited' AND cause_id", 'kind', [...expected.memberEntries]],
    ['attempt', 'task_id', 'attempt_no', [...expected.attemptInserts]],
    ['review_case', 'task_id', 'case_no', [...expected.caseInserts]],
  ];
  const differences: string[] = [];
  for (const [table, column, key, rows] of tables) {
    const actual = await selectRows<Record<string, Cell>>(
      transaction,
      `SELECT * FROM ${table} WHERE ${column} = ?`,
      [task],
    );
    differences.push(...tableDifferences(table, key, rows, actual));
  }
  return differences;
}

function tableDifferences(
  table: string,
  key: string,
  expected: readonly Row[],
  actual: readonly Readonly<Record<string, Cell>>[],
): readonly string[] {
  const byKey = new Map(actual.map((row) => [String(row[key]), row]));
  const found: string[] = [];
  for (const row of expected) {
    const name = key === 'id' ? table : `${table} ${String(row[key])}`;
    const there = byKey.get(String(row[key]));
    byKey.delete(String(row[key]));
    if (there === undefined) found.push(`${name} is missing`);
    else {
      const columns = Object.keys(row).filter((one) => !same(row[one] ?? null, there[one] ?? null));
      found.push(...columns.map((one) => `${name}.${one} is ${shown(there[one] ?? null)}`));
    }
  }
  return [...found, ...[...byKey.keys()].map((extra) => `${table} ${extra} is not in the log`)];
}

/** What a column holds; BIGINTs come as text. */
type Cell = string | number | Date | null;

function same(expected: string | number | null, actual: Cell): boolean {
  if (expected === null || actual === null) return expected === actual;
  if (!(actual instanceof Date)) return String(expected) === String(actual);
  const text = actual.toISOString();
  return String(expected).length === 10
    ? text.slice(0, 10) === expected
    : `${text.slice(0, 10)} ${text.slice(11, 23)}` === expected;
}

/** A state, a number or a time; nobody's words. */
function shown(value: Cell): string {
  if (value === null) return 'null';
  if (value instanceof Date) return value.toISOString();
  const text = String(value);
  return /^[\w.:-]{1,40}$/.test(text) ? text : 'other';
}

async function messagesOf(
  transaction: Knex.Transaction,
  { outbox }: Projected,
  booksAreOurs: boolean,
): Promise<readonly MessageLook[]> {
  const messages: MessageLook[] = [];
  for (const row of outbox) {
    const [topic, key] = [String(row['topic']), String(row['message_key'])];
    const [found] = await selectRows<{ sent: number; deliveredAt: Date | null; posted: number }>(
      transaction,
      `SELECT o.id IS NOT NULL AS sent, o.delivered_at AS deliveredAt,
         i.message_key IS NOT NULL AS posted
       FROM (SELECT 1) one
       LEFT JOIN outbox o ON o.topic = ? AND o.message_key = ?
       LEFT JOIN ledger_inbox i ON i.topic = ? AND i.message_key = ?`,
      [topic, key, topic, key],
    );
    messages.push({
      topic,
      key,
      body: String(row['body']),
      createdAtMs: Date.parse(`${String(row['created_at']).replace(' ', 'T')}Z`),
      state: messageState(found, booksAreOurs),
    });
  }
  return messages;
}

function messageState(
  found: { sent: number; deliveredAt: Date | null; posted: number } | undefined,
  booksAreOurs: boolean,
): MessageLook['state'] {
  if (found?.posted === 1) return 'posted';
  if (found?.sent !== 1) return 'missing';
  if (found.deliveredAt === null) return 'waiting';
  return booksAreOurs ? 'not_posted' : 'posted';
}

const present = (rows: readonly (Row | null)[]): Row[] => rows.filter((row) => row !== null);
