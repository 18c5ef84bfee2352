/** SQL for the bare scripts, as quick as it could be made: see docs/PERFORMANCE.md, "the ceiling". */
import type { ConnectionOptions } from 'mysql2';
import type { Row } from '../src/store/projections.js';
import type { Commit } from './rows.js';

export function connectionOptions(url: string): ConnectionOptions {
  const at = new URL(url);
  return {
    host: at.hostname,
    port: Number(at.port),
    user: decodeURIComponent(at.username),
    password: decodeURIComponent(at.password),
    database: at.pathname.slice(1),
    timezone: 'Z',
    charset: 'utf8mb4',
    multipleStatements: true,
    // The text is whole: the driver need not look for placeholders in it.
    queryFormat: (sql: string) => sql,
  };
}

export const keys: Readonly<Record<string, readonly string[]>> = {
  deduction: ['id'],
  attempt: ['task_id', 'attempt_no'],
  in_flight: ['task_id'],
  repayment: ['id'],
};

/** A row's field that is added to a column, as `deltas` of the journal's bulk updates have it. */
export const deltas: Readonly<Record<string, string>> = {
  paid: 'paid_minor',
  collecting: 'collecting_minor',
  credited: 'credited_minor',
  refund: 'refund_minor',
};

/** One round trip: a transaction with one statement a table. */
export function groupSql(commits: readonly Commit[]): string {
  const statements = ['BEGIN'];
  const tables = Object.keys(commits[0]?.inserts ?? {});
  for (const table of tables) {
    const rows = commits.flatMap((commit) => commit.inserts[table] ?? []);
    if (rows.length > 0) statements.push(insertSql(table, byKey(rows)));
  }
  for (const table of Object.keys(commits[0]?.updates ?? {})) {
    const rows = commits.flatMap((commit) => commit.updates[table] ?? []);
    if (rows.length > 0) statements.push(updateSql(table, byKey(rows)));
  }
  for (const table of Object.keys(commits[0]?.deletes ?? {})) {
    const rows = commits.flatMap((commit) => commit.deletes[table] ?? []);
    if (rows.length > 0) statements.push(deleteSql(table, byKey(rows)));
  }
  statements.push('COMMIT');
  return statements.join(';');
}

export function insertSql(table: string, rows: readonly Row[]): string {
  const all = Object.keys(rows[0] ?? {});
  const columns = all.filter((column) => rows.some((row) => row[column] !== null));
  const values = rows.map((row) => `(${columns.map((column) => literal(row[column])).join()})`);
  return `INSERT INTO ${table} (${columns.join()}) VALUES ${values.join()}`;
}

const value = (row: Row, column: string): string =>
  column in deltas ? String(row[column] ?? 0) : literal(row[column]);

/** Driven by a table of values, so that each target row is found by its primary key. */
export function updateSql(table: string, rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const key = keys[table] ?? [];
  const on = key.map((column) => `t.${column} = j.${column}`).join(' AND ');
  const [first = {}] = rows;
  // What is the same in all rows is said once, as the journal does.
  const varying = columns.filter(
    (column) => key.includes(column) || rows.some((row) => row[column] !== first[column]),
  );
  const set = columns
    .filter((column) => !key.includes(column))
    .map((column) => {
      const given = varying.includes(column) ? `j.${column}` : value(first, column);
      const sum = deltas[column];
      return sum === undefined ? `t.${column} = ${given}` : `t.${sum} = t.${sum} + ${given}`;
    })
    .join();
  return (
    `UPDATE (${valuesSql(varying, rows)}) AS j ` +
    `STRAIGHT_JOIN ${table} AS t FORCE INDEX (PRIMARY) ON ${on} SET ${set}`
  );
}

/** Not `IN (…)`, for which small tables are scanned: the two connections would end in deadlocks. */
function deleteSql(table: string, rows: readonly Row[]): string {
  const key = keys[table] ?? [];
  const on = key.map((column) => `t.${column} = j.${column}`).join(' AND ');
  return (
    `DELETE t FROM (${valuesSql(key, rows)}) AS j ` +
    `STRAIGHT_JOIN ${table} AS t FORCE INDEX (PRIMARY) ON ${on}`
  );
}

function valuesSql(columns: readonly string[], rows: readonly Row[]): string {
  const selects = rows.map((row, index) => {
    const fields = columns.map((column) =>
      index > 0 ? value(row, column) : `${value(row, column)} AS ${column}`,
    );
    return `SELECT ${fields.join()}`;
  });
  return selects.join(' UNION ALL ');
}

const quoted = /['\\]/;
const escapes: Readonly<Record<string, string>> = { "'": "\\'", '\\': '\\\\' };

function literal(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number') return String(value);
  return quoted.test(value)
    ? `'${value.replaceAll(/['\\]/g, (found) => escapes[found] ?? found)}'`
    : `'${value}'`;
}

function byKey(rows: readonly Row[]): readonly Row[] {
  const key = Object.keys(rows[0] ?? {})[0] ?? '';
  return rows.toSorted((a, b) => (String(a[key]) < String(b[key]) ? -1 : 1));
}
