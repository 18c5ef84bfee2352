import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { loadConfig } from '../../src/config.js';
import { silentLog } from '../../src/log.js';
import { openDatabase, selectRows, type Database } from '../../src/store/database.js';
import { migrate } from '../../src/store/migrate.js';
import { until } from '../sandbox/sandbox-process.js';

const folder = new URL('../../migrations/', import.meta.url);
const now = '2026-11-21 12:00:00.000';

type Statement = string | { readonly run: string };

/** As the release before this migration left it. */
async function migrateUntil(owner: Database, before: string): Promise<void> {
  await owner.raw(`CREATE TABLE schema_migration (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(255), batch INT, migration_time TIMESTAMP NULL)`);
  const files = readdirSync(fileURLToPath(folder)).filter((file) => /^\d{3}-.*\.js$/.test(file));
  for (const file of files.toSorted().filter((one) => one < before)) {
    const { up } = (await import(new URL(file, folder).href)) as { up: readonly Statement[] };
    for (const one of up) await owner.raw(typeof one === 'string' ? one : one.run);
    const name = file.replace('.js', '');
    await owner.raw('INSERT INTO schema_migration (name, batch) VALUES (?, 1)', [name]);
  }
}

describe('migrating a database that has been in use', () => {
  const base = loadConfig(process.env);
  const name = `recoup_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const named = (url: string): string => Object.assign(new URL(url), { pathname: name }).href;
  let admin: Database;
  let owner: Database;

  before(async () => {
    admin = openDatabase(base.migrationUrl, 1, silentLog);
    await admin.raw(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    owner = openDatabase(named(base.migrationUrl), 1, silentLog);
    await migrateUntil(owner, '004');
  });
  after(async () => {
    await owner.destroy();
    await admin.raw(`DROP DATABASE ${name}`);
    await admin.destroy();
  });

  it('counts what was collected as credited, what came late as owed back, and tells what was not told', async () => {
    await owner.raw(`INSERT INTO repayment VALUES
      ('rp_1', 'bw_1', 'CNY', 900, 500, 0, '2026-11-22', 'tok_1', 'ICBC', '4321', '${now}')`);
    for (const [id, status, order] of [
      ['t1', 'succeeded', "'o1'"],
      ['t2', 'failed', 'NULL'],
    ]) {
      await owner.raw(`INSERT INTO deduction (id, repayment_id, borrower_id, amount_minor, currency,
          bank_code, account_last4, source, status, failure_code, order_no, attempts, request_key,
          request_digest, created_at, ended_at)
        VALUES ('${id}', 'rp_1', 'bw_1', 500, 'CNY', 'ICBC', '4321', 'app', '${status}',
          ${status === 'failed' ? "'risk_refused'" : 'NULL'}, ${order}, 1, '${id}', '', '${now}', '${now}')`);
      await owner.raw(`INSERT INTO attempt (task_id, attempt_no, order_no, channel_id, bank_code,
          amount_minor, status, channel_ref, asks, business_date, created_at, expires_at, ended_at)
        VALUES ('${id}', 1, '${id === 't1' ? 'o1' : 'o2'}', 'swiftpay', 'ICBC', 500, 'succeeded', 'r',
          0, '2026-11-21', '${now}', '${now}', '${now}')`);
    }
    await owner.raw(`INSERT INTO in_flight
        (task_id, kind, seq, started_at, wake_at, ended_at, claimed_by, claimed_until) VALUES
      ('t1', 'deduction', 5, '${now}', NULL, '${now}', NULL, NULL),
      ('t2', 'deduction', 4, '${now}', NULL, '${now}', 'a', '${now}'),
      ('waits', 'deduction', 3, '${now}', '${now}', NULL, NULL, NULL),
      ('claimed', 'refund', 3, '${now}', '${now}', NULL, 'a', '${now}'),
      ('before a person', 'deduction', 9, '${now}', NULL, NULL, NULL, NULL)`);
    await owner.raw(`INSERT INTO outbox (topic, message_key, body, created_at, delivered_at) VALUES
      ('ledger.repayment_collected', 't1', '{}', '${now}', NULL),
      ('ledger.repayment_collected', 't0', '{}', '${now}', '${now}')`);

    await migrate(named(base.migrationUrl), named(base.databaseUrl), silentLog);

    const credited = await selectRows(
      owner,
      'SELECT order_no, credited_minor FROM attempt ORDER BY order_no',
    );
    expect(credited).to.eql([
      { order_no: 'o1', credited_minor: '500' },
      { order_no: 'o2', credited_minor: '0' },
    ]);
    const due = await selectRows(owner, 'SELECT message_key FROM outbox WHERE send_at IS NOT NULL');
    expect(due).to.eql([{ message_key: 't1' }]);
  });

  it('leaves in flight what has not ended, as it was, and nothing else', async () => {
    const at = new Date('2026-11-21T12:00:00Z');
    const row = { kind: 'deduction', seq: 3, started_at: at, wake_at: at };
    const free = { claimed_by: null, claimed_until: null };
    const expected = [
      { task_id: 'before a person', ...row, seq: 9, wake_at: null, ...free },
      { task_id: 'claimed', ...row, kind: 'refund', claimed_by: 'a', claimed_until: at },
      { task_id: 'waits', ...row, ...free },
    ];
    const inFlight = async () =>
      await selectRows(owner, 'SELECT * FROM in_flight ORDER BY task_id');
    expect(await inFlight()).to.eql(expected);
    // Killed before it was marked as done, it is run again.
    await owner.raw("DELETE FROM schema_migration WHERE name LIKE '015-%'");
    await migrate(named(base.migrationUrl), named(base.databaseUrl), silentLog);
    expect(await inFlight()).to.eql(expected);
    const keys = await selectRows<{ columns: string }>(
      owner,
      `SELECT GROUP_CONCAT(column_name ORDER BY seq_in_index) AS columns
       FROM information_schema.statistics
       WHERE table_schema = DATABASE() AND table_name = 'in_flight' AND index_name = 'in_flight_due'`,
    );
    expect(keys).to.eql([{ columns: 'kind,wake_at' }]);
  });

  it('waits for another that is under way, and then does what is left', async () => {
    const done = "FROM schema_migration WHERE name LIKE '015-%'";
    await owner.raw(`DELETE ${done}`);
    await admin.raw("SELECT GET_LOCK('recoup_migrate', 5)");
    const migrated = migrate(named(base.migrationUrl), named(base.databaseUrl), silentLog);
    // Awaited below, whatever comes first.
    migrated.catch(() => undefined);
    try {
      const waiting = "SELECT 1 FROM information_schema.processlist WHERE state = 'User lock'";
      await until('it to wait', async () => await selectRows(owner, waiting), 20_000);
      expect(await selectRows(owner, `SELECT 1 ${done}`)).to.eql([]);
    } finally {
      await admin.raw("SELECT RELEASE_LOCK('recoup_migrate')");
    }
    expect(await migrated).to.have.length(1);
    expect(await selectRows(owner, `SELECT 1 ${done}`)).to.have.length(1);
  });
});

describe('migrating a database with refunds, while a process of the release before is at work', () => {
  const base = loadConfig(process.env);
  const name = `recoup_test_${process.pid}_${randomBytes(4).toString('hex')}`;
  const named = (url: string): string => Object.assign(new URL(url), { pathname: name }).href;
  let admin: Database;
  let owner: Database;

  before(async () => {
    admin = openDatabase(base.migrationUrl, 1, silentLog);
    await admin.raw(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    owner = openDatabase(named(base.migrationUrl), 1, silentLog);
    await migrateUntil(owner, '016');
    await captured('d1', 'o1');
  });
  after(async () => {
    await owner.destroy();
    await admin.raw(`DROP DATABASE ${name}`);
    await admin.destroy();
  });

  const captured = async (task: string, order: string): Promise<unknown> =>
    await owner.raw(`INSERT INTO attempt (task_id, attempt_no, order_no, channel_id, bank_code,
        amount_minor, status, channel_ref, asks, business_date, created_at, expires_at, ended_at)
      VALUES ('${task}', 1, '${order}', 'swiftpay', 'ICBC', 500, 'succeeded', 'r', 0, '2026-11-21',
        '${now}', '${now}', '${now}')`);

  const common = `attempt_no, channel_id, capture_order_no, amount_minor, currency, taken_from, status,
    attempts, reason, requested_by, approved_by, created_at`;
  const fields = `1, 'swiftpay', 'o', 500, 'CNY', 'excess', 'processing', 0, 'r', 'ann', 'ben', '${now}'`;

  /** Word for word what the release before writes. */
  const ofDeduction = async (id: string): Promise<unknown> =>
    await owner.raw(`INSERT INTO refund (id, deduction_id, repayment_id, request_key, ${common})
      VALUES ('${id}', 'd1', 'rp_1', '${id}', ${fields})`);

  const ofTopUp = async (id: string, more = ''): Promise<string> =>
    await owner
      .raw(
        `INSERT INTO refund (id, top_up_id, capture_no, request_key, ${common} ${more && ', deduction_id'})
         VALUES ('${id}', 't1', 1, '${id}', ${fields} ${more})`,
      )
      .then(
        () => 'written',
        (error: Error) => /refund_\w+/.exec(error.message)?.[0] ?? error.message,
      );

  it('keeps them, takes what that process writes, and holds a capture of a top-up for one', async () => {
    await ofDeduction('before');
    await migrate(named(base.migrationUrl), named(base.databaseUrl), silentLog);
    await ofDeduction('after');
    const rows = await selectRows(
      owner,
      'SELECT id, deduction_id, repayment_id, top_up_id, capture_no FROM refund ORDER BY id',
    );
    const old = { deduction_id: 'd1', repayment_id: 'rp_1', top_up_id: null, capture_no: null };
    expect(rows).to.eql([
      { id: 'after', ...old },
      { id: 'before', ...old },
    ]);

    expect(await ofTopUp('nowhere')).to.equal('refund_top_up_attempt_exists');
    await captured('t1', 'o2');
    expect(await ofTopUp('both', ", 'd1'")).to.equal('refund_of_one');
    expect(await ofTopUp('first')).to.equal('written');
    expect(await ofTopUp('second')).to.equal('refund_one_a_capture');
    await owner.raw(`UPDATE refund SET status = 'failed', failure_code = 'refused',
      ended_at = '${now}' WHERE id = 'first'`);
    expect(await ofTopUp('again')).to.equal('written');
    // Killed before it was marked as done, it is run again.
    await owner.raw("DELETE FROM schema_migration WHERE name LIKE '016-%'");
    await migrate(named(base.migrationUrl), named(base.databaseUrl), silentLog);
    expect(await selectRows(owner, 'SELECT id FROM refund')).to.have.length(4);
  });
});
