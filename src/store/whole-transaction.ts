import type { BulkStatement } from './bulk.js';
import type { Database } from './database.js';

/** A statement, and how many rows it must match. */
export interface Change extends BulkStatement {
  readonly table: string;
  /** Fewer than this end the transaction: the log says that they are there. */
  readonly rowsAtLeast: number;
}

/**
 * A transaction in one request, from BEGIN to COMMIT. It never waits for its client with rows locked,
 * whatever becomes of that; and a lone deduction, whose time is spent in round trips, makes one of
 * three.
 *
 * The first statement that fails ends the request, so COMMIT is not reached. Rows that are missing are
 * no error to the database; so each count is followed by a statement that fails where it is too small.
 *
 * @param writes connections that take several statements a request (`openDatabase`, `bundles`).
 * @throws RowsMissing; what the database says (`classify`): a connection lost at any time may have
 *   committed all of it.
 */
export async function commitWhole(writes: Database, changes: readonly Change[]): Promise<void> {
  const sql: string[] = ['BEGIN'];
  const values: unknown[] = [];
  for (const change of changes) {
    sql.push(change.sql);
    values.push(...change.values);
    if (change.rowsAtLeast > 0) sql.push(atLeast(change.rowsAtLeast));
  }
  sql.push('COMMIT');
  const pool = writes.client as Pool;
  const connection = await pool.acquireConnection();
  try {
    await request(connection, sql.join(';'), values);
  } catch (error) {
    await undo(connection);
    throw (error as { errno?: number }).errno === tooManyRows ? new RowsMissing(changes) : error;
  } finally {
    await pool.releaseConnection(connection);
  }
}

/** A row that the log says was written is not there: a bug, or somebody has deleted it. */
export class RowsMissing extends Error {
  override readonly name = 'RowsMissing';

  constructor(changes: readonly Change[]) {
    const tables = changes.filter(({ rowsAtLeast }) => rowsAtLeast > 0).map(({ table }) => table);
    super(`rows are missing from one of ${tables.join(', ')}`);
  }
}

/** "Subquery returns more than 1 row": in MariaDB and MySQL alike. */
const tooManyRows = 1242;

const atLeast = (rows: number): string =>
  `SET @found = IF(ROW_COUNT() >= ${rows}, 1, (SELECT 1 UNION ALL SELECT 2))`;

/** knex's own pool, without its transactions: those make a whole knex each, 8 % of a lone deduction. */
interface Pool {
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
}

/** What of a mysql2 connection is used here. */
interface Connection {
  query(sql: string, values: readonly unknown[], done: (error: Error | null) => void): void;
  destroy(): void;
}

async function request(
  connection: Connection,
  sql: string,
  values: readonly unknown[],
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    connection.query(sql, values, (error) => (error === null ? resolve() : reject(error)));
  });
}

/** A connection that may still hold a transaction is never used again: the next BEGIN would commit it. */
async function undo(connection: Connection): Promise<void> {
  try {
    await request(connection, 'ROLLBACK', []);
  } catch {
    connection.destroy();
  }
}
