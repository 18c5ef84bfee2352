import type { Command } from 'commander';
import { compose } from '../composition/root.js';
import { loadConfig, type Config } from '../config.js';
import { RecoupError } from '../errors.js';
import { command, run, type CommonOptions, type Result } from './command.js';
import { checkChannels, checkLease, checkReferences } from './doctor-channels.js';
import { checkClock, checkDatabase, checkRights, checkSchema } from './doctor-database.js';
import { fail, ok, warn, type Finding } from './doctor-finding.js';
import { checkNotices } from './doctor-notices.js';
import { checkRedis } from './doctor-redis.js';
import { exitCodes } from './exit-codes.js';
import { CliError } from './failure.js';
import { assertListening, logFor } from './session.js';
import { table } from './table.js';

/** Looks at everything Recoup rests on and says what to do about it. Changes nothing. */
export function doctorCommand(): Command {
  return command('doctor', 'check the surroundings, and say what to do').action(
    run<CommonOptions>(async (options) => resultOf(await examine(options))),
  );
}

async function examine(options: CommonOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [checkNode()];
  let config: Config;
  try {
    config = loadConfig(process.env);
  } catch (error) {
    if (!(error instanceof RecoupError)) throw error;
    const problems = error.details['problems'] as readonly { variable: string; message: string }[];
    const wrong = problems.map(({ variable, message }) =>
      fail('configuration', `${variable}: ${message}`, 'Correct the variable.'),
    );
    return [...findings, ...wrong];
  }
  findings.push(ok('configuration', 'every variable is well-formed'), ownerFinding(config));
  const services = compose({ config, env: process.env, log: logFor(config, options) });
  try {
    const database = await listening(config.databaseUrl, 3306, 'database');
    const redis = await listening(config.redisUrl, 6379, 'redis');
    findings.push(...database, ...redis);
    const server =
      database.length > 0 ? [] : await guarded('database', () => checkDatabase(services.database));
    findings.push(...server);
    // One that takes connections and answers none would be waited for at each of these.
    const answers = server.some(({ unreachable }) => unreachable !== true);
    if (answers) {
      findings.push(
        ...(await guarded('schema', () => checkSchema(services.database))),
        ...(await guarded('append-only', () => checkRights(services.database))),
        ...(await guarded('clock', () => checkClock(services.database))),
        ...(await guarded('channels', () => checkChannels(services.channelStore, process.env))),
        ...(await guarded('references', () =>
          checkReferences(services.channelStore, config.businessZone),
        )),
        ...(await guarded('notices', async () =>
          checkNotices(await services.notices.desk.destinations(), process.env),
        )),
        ...(await guarded('lease', () => checkLease(services.channelStore, config))),
      );
    }
    if (redis.length === 0) {
      findings.push(...(await guarded('redis', () => checkRedis(services.redis))));
    }
    return findings;
  } finally {
    await services.close();
  }
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const version = `Node ${process.versions.node}`;
  if (major > 20 || (major === 20 && minor >= 19)) return ok('node', version);
  return fail('node', version, 'Install Node 20.19 or later.');
}

function ownerFinding(config: Config): Finding {
  const [owner, app] = [new URL(config.migrationUrl), new URL(config.databaseUrl)];
  if (owner.username !== app.username) return ok('users', 'schema owner and application differ');
  return warn(
    'users',
    'the application connects as the owner of the schema',
    'Give the application a user of its own, and name the owner in RECOUP_MIGRATION_URL.',
  );
}

/** Nothing when somebody listens; else the finding. */
async function listening(url: string, port: number, what: string): Promise<Finding[]> {
  try {
    await assertListening(url, port, what);
    return [];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return [{ ...fail(what, error.title, error.action), unreachable: true }];
  }
}

async function guarded(name: string, look: () => Promise<readonly Finding[]>) {
  try {
    return await look();
  } catch (error) {
    const { message, errno } = error as Error & { errno?: number };
    const why = message.split('\n')[0]?.slice(0, 200) ?? '';
    const notYetGranted = errno === 1044 || errno === 1142;
    const action = notYetGranted
      ? 'Run `recoup migrate`: it grants the application its rights.'
      : 'Correct what it says, and look again.';
    const finding = fail(name, `could not be checked: ${why}`, action);
    // What the server says has an error number of its own, above those of the system.
    return [
      name === 'database' && !((errno ?? 0) > 0) ? { ...finding, unreachable: true } : finding,
    ];
  }
}

function resultOf(findings: readonly Finding[]): Result {
  const failed = findings.filter(({ status }) => status === 'fail');
  const warned = findings.filter(({ status }) => status === 'warn').length;
  const rows = findings.map(({ status, name, detail, action }) => [
    status,
    name,
    action === '' ? detail : `${detail} → ${action}`,
  ]);
  const verdict =
    failed.length === 0 ? `well, ${warned} warning(s)` : `${failed.length} thing(s) to mend`;
  const away = failed.some(({ unreachable }) => unreachable === true);
  return {
    json: { healthy: failed.length === 0, findings },
    text: `${table(['', 'what', ''], rows)}\n${verdict}`,
    exitCode:
      failed.length === 0 ? exitCodes.done : away ? exitCodes.unavailable : exitCodes.refused,
  };
}
