// The stores of a run: those that the environment names, private ones for the rest.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startDatabase } from './database.mjs';
import { startRedis } from './redis.mjs';
import { addToOwner } from './run-folder.mjs';
import { findServers } from './store-binaries.mjs';

/** What each of several sets is: a list of environments, as JSON. One that is given is not shared. */
const setsVariable = 'RECOUP_TEST_STORES';

/**
 * @param sets how many, where all are ours: each in a folder of its own, the first for everybody
 * @returns {Promise<{env: Record<string, string>, started: string[]}>}
 */
export async function getStores(runDir, sets = 1) {
  const wanted = [];
  if (!process.env.RECOUP_DATABASE_URL) wanted.push('database');
  if (!process.env.RECOUP_REDIS_URL) wanted.push('redis');
  if (wanted.length === 0) return { env: {}, started: wanted };
  const files = await findServers(wanted);
  const env = await startSet(files, runDir, runDir);
  if (wanted.length < 2 || sets === 1) return { env, started: wanted };
  // After the first, which may have made the template that all are copies of.
  const others = Array.from({ length: sets - 1 }, (_, index) => join(runDir, `set-${index + 2}`));
  const started = others.map((folder) => startSet(files, runDir, folder));
  const outcomes = await Promise.allSettled(started);
  const envs = [env, ...valuesOf(outcomes)];
  return { env: { ...env, [setsVariable]: JSON.stringify(envs) }, started: wanted };
}

async function startSet(files, runDir, folder) {
  mkdirSync(folder, { recursive: true });
  const outcomes = await Promise.allSettled([
    files.database === undefined ? null : startDatabase(files.database, runDir, { folder }),
    files.redis === undefined ? null : startRedis(files.redis, runDir, { folder }),
  ]);
  const [database, redis] = valuesOf(outcomes);
  const servers = [database, redis].filter((server) => server !== null);
  addToOwner(
    runDir,
    'servers',
    servers.map(({ pid, cmdlineIncludes }) => ({ pid, cmdlineIncludes })),
  );
  const env = {};
  if (database !== null) {
    env.RECOUP_DATABASE_URL = database.url;
    env.RECOUP_MIGRATION_URL = database.migrationUrl;
  }
  if (redis !== null) env.RECOUP_REDIS_URL = redis.url;
  return env;
}

/** @throws what the first of them threw, once all have ended */
function valuesOf(outcomes) {
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return outcomes.map(({ value }) => value);
}
