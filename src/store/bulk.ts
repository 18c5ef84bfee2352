/**
 * Many rows a statement: what makes group commit quick. Rows are written in key order, so that two
 * transactions never lock the same rows in opposite orders.
 *
 * An update reads its rows from one JSON parameter (JSON_TABLE) and is driven by it: the target is
 * looked up by primary key and never scanned. Values must fit their columns before they come here:
 * MariaDB's JSON_TABLE cuts and clamps without a word, whatever `ERROR ON ERROR` says.
 */
import type { Knex } from 'knex';
import { execute } from './database.js';
import type { Row } from './rows.js';

export async function insertRows(
  transaction: Knex.Transaction,
  table: string,
  rows: readonly Row[],
  /** What to change of a row that is there already. Without it, that is an error. */
  onDuplicate?: string,
): Promise<void> {
  const [first] = rows;
  if (first === undefined) return;
  const columns = Object.keys(first);
  const places = `(${columns.map(() => '?').join(',')})`;
  const sql = `INSERT INTO ${table} (${columns.join(',')}) VALUES ${rows.map(() => places).join(',')}${onDuplicate === undefined ? '' : ` ON DUPLICATE KEY UPDATE ${onDuplicate}`}`;
  await execute(
    transaction,
    sql,
    rows.flatMap((row) => columns.map((column) => row[column] ?? null)),
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

/** Half a surrogate pair, from a channel's text that was cut, is no JSON to MariaDB. */
const wellFormed = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed() : value;

/** Returns how many rows were found. */
export async function updateRows(
  transaction: Knex.Transaction,
  update: BulkUpdate,
  rows: readonly Row[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const { table, key, values, deltas = {} } = update;
  const added = Object.fromEntries(Object.values(deltas).map((field) => [field, 'BIGINT']));
  const columns = Object.entries({ ...key, ...values, ...added })
    .map(([name, type]) => `${name} ${type} PATH '$.${name}' ERROR ON ERROR`)
    .join(', ');
  const on = Object.keys(key)
    .map((name) => `t.${name} = j.${name}`)
    .join(' AND ');
  const assign = [
    ...Object.keys(values).map((name) => `t.${name} = j.${name}`),
    ...Object.entries(deltas).map(([name, field]) => `t.${name} = t.${name} + j.${field}`),
  ].join(', ');
  const sql =
    `UPDATE JSON_TABLE(?, '$[*]' COLUMNS (${columns})) AS j ` +
    `STRAIGHT_JOIN ${table} AS t FORCE INDEX (PRIMARY) ON ${on} SET ${assign}` +
    (update.where === undefined ? '' : ` WHERE ${update.where}`);
  return await execute(transaction, sql, [
    JSON.stringify(rows, wellFormed),
    ...(update.whereValues ?? []),
  ]);
}
