/**
 * Many rows a statement: what makes group commit quick. Rows are written in key order, so that two
 * transactions never lock the same rows in opposite orders.
 *
 * The rows are written into the statement here, as literals, and handed to the driver as one piece.
 * With a placeholder a value the driver looks for each in what is by then a long text, and escapes
 * the quotes of JSON that need none: that was a quarter of Node's time a deduction.
 *
 * An update joins its rows to the target as a derived table that drives the join: the target is looked
 * up by primary key and never scanned. A value that does not fit its column is an error (strict
 * mode), which JSON_TABLE, the first form, cut without a word; it was also slower.
 */
import type { Knex } from 'knex';
import { invariant } from '../assert.js';
import { execute } from './database.js';
import type { Row } from './rows.js';

/** One statement for many rows. */
export interface BulkStatement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

export async function insertRows(
  transaction: Knex.Transaction,
  table: string,
  rows: readonly Row[],
  onDuplicate?: string,
): Promise<void> {
  if (rows.length === 0) return;
  const { sql, values } = insertOf(table, rows, onDuplicate);
  await execute(transaction, sql, values);
}

/** @param onDuplicate What to change of a row that is there already. Without it, that is an error. */
export function insertOf(table: string, rows: readonly Row[], onDuplicate?: string): BulkStatement {
  return insertColumns(table, Object.keys(rows[0] ?? {}), rows, onDuplicate);
}

/** For tables whose columns are null by default: one that is null in every row is left out. */
export function insertSparse(table: string, rows: readonly Row[]): BulkStatement {
  const columns = Object.keys(rows[0] ?? {});
  const given = columns.filter((column) => rows.some((row) => row[column] !== null));
  return insertColumns(table, given, rows);
}

function insertColumns(
  table: string,
  columns: readonly string[],
  rows: readonly Row[],
  onDuplicate?: string,
): BulkStatement {
  const duplicate = onDuplicate === undefined ? '' : ` ON DUPLICATE KEY UPDATE ${onDuplicate}`;
  const sql = `INSERT INTO ${table} (${columns.join()}) VALUES ?${duplicate}`;
  // Joined once: a text that grows piece by piece is a tree of pieces, each an object to collect.
  const parts: string[] = [];
  for (const row of rows) {
    let before = parts.length === 0 ? '(' : '),(';
    for (const column of columns) {
      parts.push(before, literal(row[column]));
      before = ',';
    }
  }
  parts.push(')');
  return { sql, values: [verbatim(parts.join(''))] };
}

export interface BulkTarget {
  readonly table: string;
  /** Column -> SQL type; these make up the primary key. */
  readonly key: Readonly<Record<string, string>>;
}

export interface BulkUpdate extends BulkTarget {
  /** Column -> SQL type. */
  readonly values: Readonly<Record<string, string>>;
  /** Column -> the field of the row whose amount is added to it. */
  readonly deltas?: Readonly<Record<string, string>>;
  /** Which rows may change (`t`), with its values. */
  readonly where?: string;
  readonly whereValues?: readonly unknown[];
}

export const ascii = (length: number): string =>
  `VARCHAR(${length}) CHARACTER SET ascii COLLATE ascii_bin`;
export const text = (length: number): string =>
  `VARCHAR(${length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`;

/** Returns how many rows were found. */
export async function updateRows(
  transaction: Knex.Transaction,
  update: BulkUpdate,
  rows: readonly Row[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const { sql, values } = updateOf(update, rows);
  return await execute(transaction, sql, values);
}

/**
 * What is the same in all rows is said once, in SET: most of what a group changes is (a status, a code
 * that is null), and a value in a derived table costs several times one that is a constant.
 */
export function updateOf(update: BulkUpdate, rows: readonly Row[]): BulkStatement {
  const { table, key, values, deltas = {} } = update;
  const [first = {}] = rows;
  const alone = rows.length === 1;
  const types: Record<string, string> = { ...key, ...values };
  for (const field of Object.values(deltas)) types[field] = 'BIGINT';
  const shared = Object.keys(types).filter(
    (name) => alone || (!(name in key) && rows.every((row) => row[name] === first[name])),
  );
  const given = (name: string): string =>
    shared.includes(name) ? writerOf(types[name])(first[name]) : `j.${name}`;
  const on = Object.keys(key)
    .map((name) => `t.${name} = ${given(name)}`)
    .join(' AND ');
  const assign = [
    ...Object.keys(values).map((name) => `t.${name} = ${given(name)}`),
    ...Object.entries(deltas).map(([name, field]) => `t.${name} = t.${name} + ${given(field)}`),
  ].join(', ');
  const where = update.where ?? 'TRUE';
  // The caller's `where` may hold placeholders; all else goes as it is.
  const { whereValues = [] } = update;
  if (alone) {
    const sql = `UPDATE ${table} AS t SET ? WHERE ? AND ${where}`;
    return { sql, values: [verbatim(assign), verbatim(on), ...whereValues] };
  }
  const varying = Object.keys(types).filter((name) => !shared.includes(name));
  const driving = selectOf(varying, types, key, rows);
  const sql =
    `UPDATE (?) AS j STRAIGHT_JOIN ${table} AS t FORCE INDEX (PRIMARY) ON ${on} ` +
    `SET ? WHERE ${where}`;
  return { sql, values: [verbatim(driving), verbatim(assign), ...whereValues] };
}

/**
 * Joined like an update, though `WHERE key IN (…)` costs a fifth less: the optimizer turns that into a scan
 * of the table where few rows are in it, or it believes so, whatever index is forced. A scan waits for
 * the rows that other transactions hold, and two that do it end in a deadlock.
 */
export function deleteOf({ table, key }: BulkTarget, rows: readonly Row[]): BulkStatement {
  const [first = {}] = rows;
  const names = Object.keys(key);
  const on = (given: (name: string) => string): string =>
    names.map((name) => `t.${name} = ${given(name)}`).join(' AND ');
  if (rows.length === 1) {
    const where = on((name) => writerOf(key[name])(first[name]));
    return { sql: `DELETE t FROM ${table} AS t WHERE ?`, values: [verbatim(where)] };
  }
  const sql =
    `DELETE t FROM (?) AS j STRAIGHT_JOIN ${table} AS t FORCE INDEX (PRIMARY) ` +
    `ON ${on((name) => `j.${name}`)}`;
  return { sql, values: [verbatim(selectOf(names, key, key, rows))] };
}

/** The first SELECT names the columns, and gives the keys the target's collation: else no index. */
function selectOf(
  names: readonly string[],
  types: Readonly<Record<string, string>>,
  key: Readonly<Record<string, string>>,
  rows: readonly Row[],
): string {
  const [first = {}, ...others] = rows;
  const writers = names.map((name) => [name, writerOf(types[name])] as const);
  const head = writers.map(([name, write]) => {
    const value = write(first[name]);
    return name in key
      ? `CAST(${value} AS ${castOf(key[name] ?? '')}) AS ${name}`
      : `${value} AS ${name}`;
  });
  const parts = [`SELECT ${head.join()}`];
  for (const row of others) {
    let before = ' UNION ALL SELECT ';
    for (const [name, write] of writers) {
      parts.push(before, write(row[name]));
      before = ',';
    }
  }
  return parts.join('');
}

const writerOf = (type = ''): ((value: Value) => string) =>
  type.includes('INT') ? whole : literal;

const castOf = (type: string): string =>
  type.includes('INT') ? 'SIGNED' : type.replace('VARCHAR', 'CHAR').replace(/ COLLATE \w+$/, '');

/** Text that the driver puts in place of its `?` as it is. */
const verbatim = (sql: string) => ({ toSqlString: () => sql });

type Value = Row[string] | undefined;

const special = /['\\]/g;

/** A string as MariaDB and MySQL read it under our `sql_mode`, which leaves backslashes special. */
function literal(value: Value): string {
  if (value === null || value === undefined) return 'NULL';
  if (typeof value === 'number') return whole(value);
  // Few hold either, and looking for one character is far cheaper than replacing by a pattern.
  const plain = !value.includes("'") && !value.includes('\\');
  return plain ? `'${value}'` : `'${value.replace(special, '\\$&')}'`;
}

/** BIGINTs come as text: never through a float. */
function whole(value: Value): string {
  if (value === null || value === undefined) return 'NULL';
  if (Number.isSafeInteger(value)) return String(value);
  const digits = String(value);
  invariant(/^-?\d+$/.test(digits), 'a whole number');
  return digits;
}
