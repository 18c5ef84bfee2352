import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Knex } from 'knex';
import type { Log } from '../engine/ports.js';
import { openDatabase, selectRows, type Database } from './database.js';

const folder = new URL('../../migrations/', import.meta.url);

/**
 * One migration file: statements that may be run again, since DDL commits by itself. One that may not
 * comes with a query that finds a row when it has been run.
 */
interface MigrationFile {
  readonly up: readonly (string | { readonly unless: string; readonly run: string })[];
}

const source: Knex.MigrationSource<string> = {
  async getMigrations() {
    const files = await readdir(fileURLToPath(folder));
    return files.filter((file) => /^\d{3}-.*\.js$/.test(file)).sort();
  },
  getMigrationName: (file) => file.replace(/\.js$/, ''),
  async getMigration(file) {
    const { up } = (await import(new URL(file, folder).href)) as MigrationFile;
    return {
      config: { transaction: false },
      async up(knex) {
        for (const one of up) {
          const statement = typeof one === 'string' ? one : one.run;
          const [done] = typeof one === 'string' ? [] : await selectRows(knex, one.unless, []);
          if (done === undefined) await knex.raw(statement);
        }
      },
      async down() {
        throw new Error('migrations are not taken back: restore a backup, or migrate forward');
      },
    };
  },
};

const options: Knex.MigratorConfig = {
  migrationSource: source,
  tableName: 'schema_migration',
  // A name lock of the server's (below) ends with its connection; knex's own outlives a kill.
  disableMigrationsListValidation: true,
};

/**
 * Brings the schema up to date and grants the application's user its rights. Several at once wait
 * for each other; one that was killed half-way is simply run again.
 *
 * @param ownerUrl may create tables, and grant where `appUrl` names another user.
 * @returns the names of the migrations that were applied.
 */
export async function migrate(ownerUrl: string, appUrl: string, log: Log): Promise<string[]> {
  // A statement may rightly be silent for long here: waiting for the lock, or changing a large table.
  const database = openDatabase(ownerUrl, 2, log, { silentMs: null });
  try {
    return await holdingLock(database, async () => {
      await freeStaleLock(database);
      const [, applied] = (await database.migrate.latest(options)) as [number, string[]];
      await grant(database, new URL(ownerUrl), new URL(appUrl));
      return applied.map((name) => name.replace(/\.js$/, ''));
    });
  } finally {
    await database.destroy();
  }
}

const lockWaitSeconds = 600;

/** The server's name lock: it ends with its connection, whatever becomes of this process. */
async function holdingLock<T>(database: Database, work: () => Promise<T>): Promise<T> {
  const client = database.client as KnexClient;
  const holder = await client.acquireConnection();
  try {
    const [[row]] = (await database
      .raw(`SELECT GET_LOCK('recoup_migrate', ${lockWaitSeconds}) AS got`)
      .connection(holder as Knex.Value)) as [[{ got: number | null }]];
    if (Number(row.got) !== 1) throw new Error('another migration is under way; try again later');
    return await work();
  } finally {
    // Never in the way of the result: the lock ends with the connection at the latest.
    await Promise.resolve(
      database.raw(`SELECT RELEASE_LOCK('recoup_migrate')`).connection(holder as Knex.Value),
    ).catch(() => undefined);
    await client.releaseConnection(holder);
  }
}

/** The part of knex's client that its types leave out. */
interface KnexClient {
  acquireConnection(): Promise<unknown>;
  releaseConnection(connection: unknown): Promise<void>;
}

/** knex marks its lock in a table; we hold the server's name lock, so a mark left there is stale. */
async function freeStaleLock(database: Database): Promise<void> {
  if (await database.schema.hasTable('schema_migration_lock')) {
    await database.migrate.forceFreeMigrationsLock(options);
  }
}

/** The migrations still to be applied; all of them where there is no schema yet. */
export async function pendingMigrations(database: Database): Promise<string[]> {
  const all = await source.getMigrations([]);
  let done: string[] = [];
  try {
    const rows = await selectRows<{ name: string }>(database, 'SELECT name FROM schema_migration');
    done = rows.map((row) => row.name);
  } catch (error) {
    const noSuchTable = 1146;
    // Before the first migration the application's user has no right on anything.
    const denied = [1142, 1044];
    const { errno = 0 } = error as { errno?: number };
    if (errno !== noSuchTable && !denied.includes(errno)) throw error;
  }
  return all.map((file) => source.getMigrationName(file)).filter((name) => !done.includes(name));
}

/** Append-only means it (rule 11): no UPDATE, no DELETE and no DDL for the application. */
const rights: Readonly<Record<string, string>> = {
  execution_log: 'SELECT, INSERT',
  audit: 'SELECT, INSERT',
  schema_migration: 'SELECT',
  repayment: 'SELECT, INSERT, UPDATE',
  deduction: 'SELECT, INSERT, UPDATE',
  attempt: 'SELECT, INSERT, UPDATE',
  review_case: 'SELECT, INSERT, UPDATE',
  callback_receipt: 'SELECT, INSERT, UPDATE, DELETE',
  callback_count: 'SELECT, INSERT, UPDATE',
  channel_call: 'SELECT, INSERT, DELETE',
  refund: 'SELECT, INSERT, UPDATE',
  refund_request: 'SELECT, INSERT, UPDATE',
  withdrawal: 'SELECT, INSERT, UPDATE',
  member_account: 'SELECT, INSERT, UPDATE',
  member_entry: 'SELECT, INSERT',
  top_up: 'SELECT, INSERT, UPDATE',
  in_flight: 'SELECT, INSERT, UPDATE, DELETE',
  outbox: 'SELECT, INSERT, UPDATE, DELETE',
  dead_letter: 'SELECT, INSERT, UPDATE',
  ledger_account: 'SELECT, INSERT',
  ledger_entry: 'SELECT, INSERT',
  ledger_posting: 'SELECT, INSERT',
  ledger_inbox: 'SELECT, INSERT',
  batch: 'SELECT, INSERT, UPDATE',
  batch_item: 'SELECT, INSERT, UPDATE',
  api_key: 'SELECT, INSERT, UPDATE',
  channel: 'SELECT, INSERT, UPDATE, DELETE',
  channel_statement: 'SELECT, INSERT, UPDATE, DELETE',
  statement_row: 'SELECT, INSERT, DELETE',
  reconciliation: 'SELECT, INSERT, UPDATE',
  reconciliation_break: 'SELECT, INSERT, UPDATE',
  reconciliation_held: 'SELECT, INSERT, UPDATE, DELETE',
  case_view: 'SELECT',
  case_work: 'SELECT, INSERT, UPDATE',
  case_note: 'SELECT, INSERT',
  case_proposal: 'SELECT, INSERT, UPDATE',
  active_check_task: 'SELECT, INSERT, UPDATE, DELETE',
  active_check_mark: 'SELECT, INSERT, UPDATE',
  active_check_finding: 'SELECT, INSERT, UPDATE',
  notice: 'SELECT, INSERT, UPDATE, DELETE',
  notice_destination: 'SELECT, INSERT, UPDATE',
  notice_delivery: 'SELECT, INSERT, UPDATE, DELETE',
  notice_try: 'SELECT, INSERT, DELETE',
  notice_outage: 'SELECT, INSERT, UPDATE',
};

async function grant(database: Database, owner: URL, app: URL): Promise<void> {
  if (owner.username === app.username) return;
  const user = decodeURIComponent(app.username).replaceAll(/['\\]/g, '');
  const [at] = await selectRows<{ host: string }>(
    database,
    `SELECT Host AS host FROM mysql.user WHERE User = ? ORDER BY Host = '%' DESC LIMIT 1`,
    [decodeURIComponent(app.username)],
  );
  if (at === undefined) {
    throw new Error(`the application's database user '${user}' does not exist; create it first`);
  }
  for (const [table, right] of Object.entries(rights)) {
    await database.raw(`GRANT ${right} ON ${table} TO '${user}'@'${at.host}'`);
  }
}
