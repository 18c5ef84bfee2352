import { selectRows, type Database } from '../store/database.js';
import { pendingMigrations } from '../store/migrate.js';
import { fail, ok, warn, type Finding } from './doctor-finding.js';

export async function checkDatabase(database: Database): Promise<Finding[]> {
  const [row] = await selectRows<{ version: string; flush: string }>(
    database,
    'SELECT VERSION() AS version, @@global.innodb_flush_log_at_trx_commit AS flush',
  );
  const { version = '', flush } = row ?? {};
  return [
    versionFinding(version),
    durableFinding(Number(flush)),
    await isolationFinding(database, version),
  ];
}

function versionFinding(version: string): Finding {
  const [major = 0, minor = 0] = (/^(\d+)\.(\d+)/.exec(version)?.slice(1) ?? []).map(Number);
  const isMariadb = /mariadb/i.test(version);
  const name = 'database';
  if (isMariadb && (major > 10 || (major === 10 && minor >= 6))) return ok(name, version);
  if (!isMariadb && major >= 8) {
    return warn(name, `MySQL ${version}`, 'The SQL keeps to what MySQL 8 takes; try it first.');
  }
  return fail(name, version, 'MariaDB 10.6 or later is needed, or MySQL 8.');
}

function durableFinding(flush: number): Finding {
  const setting = `innodb_flush_log_at_trx_commit = ${flush}`;
  if (flush === 1) return ok('durability', setting);
  return fail('durability', setting, 'Set it to 1: else a power cut loses intents to charge.');
}

/** Of our own connections, which ask for it; a proxy in between may not pass it on. */
async function isolationFinding(database: Database, version: string): Promise<Finding> {
  const name = /mariadb/i.test(version) ? 'tx_isolation' : 'transaction_isolation';
  const [row] = await selectRows<{ level: string }>(database, `SELECT @@${name} AS level`);
  const level = row?.level ?? '';
  if (level === 'READ-COMMITTED') return ok('isolation', level);
  return fail('isolation', level, 'Something between us and the server changes the session.');
}

export async function checkSchema(database: Database): Promise<Finding[]> {
  const pending = await pendingMigrations(database);
  if (pending.length === 0) return [ok('schema', 'up to date')];
  return [fail('schema', `missing: ${pending.join(', ')}`, 'Run `recoup migrate`.')];
}

/** Rule 11: the application's user may add to the log and read it, and nothing else. */
export async function checkRights(database: Database): Promise<Finding[]> {
  const rows = await selectRows<Record<string, string>>(database, 'SHOW GRANTS');
  const [at] = await selectRows<{ name: string }>(database, 'SELECT DATABASE() AS name');
  const grants = rows.flatMap((row) => Object.values(row));
  const rights = rightsOn('execution_log', at?.name ?? '', grants);
  const tooMuch = ['UPDATE', 'DELETE', 'DROP', 'ALTER'].filter((right) => rights.has(right));
  const held = rights.has('ALL') ? ['ALL PRIVILEGES'] : tooMuch;
  if (held.length > 0) {
    return [
      fail(
        'append-only',
        `the application may ${held.join(', ')} the execution log`,
        'Give it a user that owns nothing, then `recoup migrate`: it grants SELECT and INSERT.',
      ),
    ];
  }
  if (!rights.has('INSERT') || !rights.has('SELECT')) {
    const action = 'Run `recoup migrate` as the owner.';
    return [fail('append-only', 'the application may not write the execution log', action)];
  }
  return [ok('append-only', 'SELECT and INSERT on the execution log, and no more')];
}

/** What grants like "GRANT SELECT, INSERT ON `db`.`table` TO …" give on one table. */
export function rightsOn(
  table: string,
  database: string,
  grants: readonly string[],
): ReadonlySet<string> {
  const rights = new Set<string>();
  for (const grant of grants) {
    const [, list = '', on = ''] = /^GRANT (.+?) ON (?:TABLE )?(\S+) TO /i.exec(grant) ?? [];
    if (!covers(on.replaceAll('`', '').replaceAll('\\_', '_'), database, table)) continue;
    if (/^ALL PRIVILEGES/i.test(list)) rights.add('ALL');
    // A right on a column names it: "UPDATE (`status`)".
    for (const right of list.replaceAll(/\([^)]*\)/g, '').split(',')) {
      rights.add(right.trim().toUpperCase());
    }
  }
  return rights;
}

/** `*.*`, `db.*` (with % and _ as wildcards) or `db.table`. */
function covers(on: string, database: string, table: string): boolean {
  const dot = on.lastIndexOf('.');
  const [schema, name] = [on.slice(0, dot), on.slice(dot + 1)];
  if (name !== '*' && name !== table) return false;
  if (schema === '*' || schema === database) return true;
  const pattern = schema.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('%', '.*');
  return new RegExp(`^${pattern}$`).test(database);
}

const skewWarnMs = 1_000;
const skewFailMs = 30_000;

/** Expiries and wake-ups are told by this machine's clock, and compared by others'. */
export async function checkClock(database: Database): Promise<Finding[]> {
  const askedMs = Date.now();
  const [row] = await selectRows<{ now: string }>(
    database,
    `SELECT CAST(UNIX_TIMESTAMP(UTC_TIMESTAMP(3)) * 1000 AS CHAR) AS now`,
  );
  const roundTripMs = Date.now() - askedMs;
  const skewMs = Math.round(Number(row?.now ?? 0) - (askedMs + roundTripMs / 2));
  const detail = `${skewMs} ms from the database's, ± ${Math.ceil(roundTripMs / 2)} ms`;
  if (Math.abs(skewMs) - roundTripMs < skewWarnMs) return [ok('clock', detail)];
  const action = 'Let NTP set both clocks.';
  return [(Math.abs(skewMs) > skewFailMs ? fail : warn)('clock', detail, action)];
}
