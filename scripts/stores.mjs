// The stores of a run: those that the environment names, private ones for the rest.

import { startDatabase } from './database.mjs';
import { startRedis } from './redis.mjs';
import { noteOwner } from './run-folder.mjs';
import { findServers } from './store-binaries.mjs';

/** @returns {Promise<{env: Record<string, string>, started: string[]}>} */
export async function getStores(runDir) {
  const wanted = [];
  if (!process.env.RECOUP_DATABASE_URL) wanted.push('database');
  if (!process.env.RECOUP_REDIS_URL) wanted.push('redis');
  if (wanted.length === 0) return { env: {}, started: wanted };
  const files = await findServers(wanted);
  const outcomes = await Promise.allSettled([
    files.database === undefined ? null : startDatabase(files.database, runDir),
    files.redis === undefined ? null : startRedis(files.redis, runDir),
  ]);
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  const [database, redis] = outcomes.map(({ value }) => value);
  const servers = [database, redis].filter((server) => server !== null);
  noteOwner(runDir, {
    servers: servers.map(({ pid, cmdlineIncludes }) => ({ pid, cmdlineIncludes })),
  });
  const env = {};
  if (database !== null) {
    env.RECOUP_DATABASE_URL = database.url;
    env.RECOUP_MIGRATION_URL = database.migrationUrl;
  }
  if (redis !== null) env.RECOUP_REDIS_URL = redis.url;
  return { env, started: wanted };
}
