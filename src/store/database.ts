import { setTimeout as delay } from 'node:timers/promises';
import createKnex, { type Knex } from 'knex';
import type { Log } from '../engine/ports.js';
import { DeafConnections, type Line } from './deaf-connections.js';
import { classify } from './sql-errors.js';

export type Database = Knex;

/** A connection silent for this long is cut: if a query waits on it, the server is gone or frozen. */
const defaultSilentMs = 20_000;
/** Below `defaultSilentMs`, so that a lock wait ends with an error of its own. */
const lockWaitSeconds = 10;
/**
 * A transaction of ours never waits for anything but its own next statement. One that has waited for
 * so long is a process that stands still, and the server ends it (MariaDB only): or else everybody who
 * takes its tasks over would wait for its locks, and all that shares their commits with them.
 */
const idleTransactionSeconds = 5;

/**
 * A pool of connections as Recoup needs them: UTC, READ COMMITTED (writes are conditional; nothing
 * reads in order to write), strict mode, and BIGINTs as strings, since mysql2 rounds them above 2^53.
 *
 * @param poolMax connections at most; waiting for one gives up after ten seconds.
 * @param options.silentMs null for work whose statements may take long: migrations.
 * @param options.bundles whether one request may hold several statements. Only for the journal, which
 *   makes every statement of its own: elsewhere a hole would let another statement in.
 * @param options.statementSeconds a statement that takes longer is ended by the server (MariaDB only).
 */
export function openDatabase(
  url: string,
  poolMax: number,
  log: Log,
  { silentMs = defaultSilentMs, bundles = false, statementSeconds = 0 }: DatabaseOptions = {},
): Database {
  const at = new URL(url);
  const deaf = silentMs === null ? null : new DeafConnections(silentMs);
  return createKnex({
    client: 'mysql2',
    // An error's message must not repeat the values: they hold account tokens (rule 13).
    compileSqlOnError: false,
    connection: {
      host: at.hostname.replace(/^\[|\]$/g, ''),
      port: at.port === '' ? 3306 : Number(at.port),
      user: decodeURIComponent(at.username),
      password: decodeURIComponent(at.password),
      database: decodeURIComponent(at.pathname.slice(1)),
      timezone: 'Z',
      charset: 'utf8mb4',
      supportBigNumbers: true,
      bigNumberStrings: true,
      connectTimeout: 5_000,
      enableKeepAlive: true,
      multipleStatements: bundles,
    },
    pool: {
      min: 0,
      max: poolMax,
      acquireTimeoutMillis: 10_000,
      createRetryIntervalMillis: 200,
      // What nobody uses is closed before its silence could pass for a server that is gone.
      idleTimeoutMillis: (silentMs ?? defaultSilentMs) / 2,
      afterCreate: (connection: RawConnection, done: Prepared) =>
        prepareConnection(connection, deaf, statementSeconds, done),
    },
    acquireConnectionTimeout: 10_000,
    log: {
      warn: (message) => log.warn('database', { message: firstLine(message) }),
      error: (message) => log.warn('database', { message: firstLine(message) }),
      deprecate: () => undefined,
      debug: () => undefined,
    },
  });
}

/** Without the stack: while the database is away each that waits for a connection has one. */
const firstLine = (message: unknown): string => String(message).split('\n', 1).join('');

interface DatabaseOptions {
  readonly silentMs?: number | null;
  readonly bundles?: boolean;
  readonly statementSeconds?: number;
}

interface RawConnection {
  readonly stream: Line;
  query(sql: string, done: (error: Error | null) => void): void;
}

type Prepared = (error: Error | null, connection: RawConnection) => void;

function prepareConnection(
  connection: RawConnection,
  deaf: DeafConnections | null,
  statementSeconds: number,
  done: Prepared,
): void {
  deaf?.watch(connection.stream);
  const settings = [
    "time_zone = '+00:00'",
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
    `innodb_lock_wait_timeout = ${lockWaitSeconds}`,
  ];
  const limits = [
    `idle_transaction_timeout = ${idleTransactionSeconds}`,
    ...(statementSeconds > 0 ? [`max_statement_time = ${statementSeconds}`] : []),
  ].join(', ');
  connection.query(`SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED`, (error) => {
    if (error !== null) return done(error, connection);
    const sql = `SET SESSION ${settings.join(', ')} /*M! , ${limits} */`;
    connection.query(sql, (failed) => done(failed, connection));
  });
}

/** Rows of a raw SELECT. The type is the caller's word; rows become values in one mapper each. */
export async function selectRows<Row>(
  database: Knex | Knex.Transaction,
  sql: string,
  bindings: readonly unknown[] = [],
): Promise<Row[]> {
  const [rows] = (await database.raw(sql, bindings as Knex.RawBinding[])) as [Row[]];
  return rows;
}

/** Runs a raw statement; returns the rows it matched (not only those it changed). */
export async function execute(
  database: Knex | Knex.Transaction,
  sql: string,
  bindings: readonly unknown[] = [],
): Promise<number> {
  const [result] = (await database.raw(sql, bindings as Knex.RawBinding[])) as [
    { affectedRows: number },
  ];
  return result.affectedRows;
}

/** `?,?,…`: a place for each of the values. */
export const places = (values: readonly unknown[]): string => values.map(() => '?').join(',');

const triesMax = 8;

/**
 * Runs a transaction, and runs it again, whole, when it lost to another (deadlock, lock wait). Only
 * for work that may be done twice: a connection lost at COMMIT is not repeated but thrown.
 */
export async function inTransaction<T>(
  database: Database,
  work: (transaction: Knex.Transaction) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await database.transaction(work);
    } catch (error) {
      if (classify(error).kind !== 'retry' || tries >= triesMax) throw error;
      await delay(5 * 2 ** tries * (0.5 + Math.random()));
    }
  }
}

let second = Number.NaN;
let untilSecond = '';

/**
 * Wall-clock ms -> what a DATETIME(3) column takes, UTC. Most calls are about the second that the last
 * one was about, and only another second is formatted: a dozen times a deduction.
 */
export function sqlTime(ms: number): string {
  const of = Math.floor(ms / 1_000);
  if (of !== second) {
    const iso = new Date(of * 1_000).toISOString();
    untilSecond = `${iso.slice(0, 10)} ${iso.slice(11, 20)}`;
    second = of;
  }
  return untilSecond + String(Math.trunc(ms - of * 1_000)).padStart(3, '0');
}

export const sqlTimeOrNull = (ms: number | null): string | null =>
  ms === null ? null : sqlTime(ms);
