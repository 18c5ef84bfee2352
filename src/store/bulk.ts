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
import { execute, executeAll } from './database.js';
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
  const columns = Object.keys(rows[0] ?? {});
  const values = rows.map((row) => `(${columns.map((column) => literal(row[column])).join()})`);
  const duplicate = onDuplicate === undefined ? '' : ` ON DUPLICATE KEY UPDATE ${onDuplicate}`;
  const sql = `INSERT INTO ${table} (${columns.join()}) VALUES ?${duplicate}`;
  return { sql, values: [verbatim(values.join())] };
}

/**
 * Runs them in order, in one round trip where the connections allow it (`openDatabase`, `bundles`):
 * what a transaction costs a single deduction is its round trips. The first that fails ends it.
 *
 * @returns the rows that each has matched.
 */
export async function runAll(
  transaction: Knex.Transaction,
  statements: readonly BulkStatement[],
  bundled: boolean,
): Promise<readonly number[]> {
  if (!bundled || statements.length < 2) {
    const found: number[] = [];
    for (const { sql, values } of statements) found.push(await execute(transaction, sql, values));
    return found;
  }
  const sql = statements.map((one) => one.sql).join(';');
  return await executeAll(
    transaction,
    sql,
    statements.flatMap((one) => one.values),
  );
}

export interface BulkUpdate {
  readonly table: string;
  /** Column -> SQL type; these make up the primary key. */
  readonly key: Readonly<Record<string, string>>;
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

export function updateOf(update: BulkUpdate, rows: readonly Row[]): BulkStatement {
  const { table, key, values, deltas = {} } = update;
  const on = Object.keys(key)
    .map((name) => `t.${name} = j.${name}`)
    .join(' AND ');
  const assign = [
    ...Object.keys(values).map((name) => `t.${name} = j.${name}`),
    ...Object.entries(deltas).map(([name, field]) => `t.${name} = t.${name} + j.${field}`),
  ].join(', ');
  const sql =
    `UPDATE (?) AS j STRAIGHT_JOIN ${table} AS t FORCE INDEX (PRIMARY) ON ${on} SET ${assign}` +
    (update.where === undefined ? '' : ` WHERE ${update.where}`);
  return { sql, values: [verbatim(selectOf(update, rows)), ...(update.whereValues ?? [])] };
}

/** The first SELECT names the columns, and gives the keys the target's collation: else no index. */
function selectOf({ key, values, deltas = {} }: BulkUpdate, rows: readonly Row[]): string {
  const added = Object.fromEntries(Object.values(deltas).map((field) => [field, 'BIGINT']));
  const columns = Object.entries({ ...key, ...values, ...added });
  const selects = rows.map((row, index) => {
    const fields = columns.map(([name, type]) => {
      const value = type.includes('INT') ? whole(row[name]) : literal(row[name]);
      if (index > 0) return value;
      return name in key ? `CAST(${value} AS ${castOf(type)}) AS ${name}` : `${value} AS ${name}`;
    });
    return `SELECT ${fields.join()}`;
  });
  return selects.join(' UNION ALL ');
}

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
  return `'${value.replace(special, '\\$&')}'`;
}

/** BIGINTs come as text: never through a float. */
function whole(value: Value): string {
  if (value === null || value === undefined) return 'NULL';
  const digits = String(value);
  invariant(/^-?\d+$/.test(digits), 'a whole number');
  return digits;
}
