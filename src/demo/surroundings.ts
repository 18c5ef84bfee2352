/** The demo's own corner of the stores: a database and a Redis that nobody else uses. */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { createConnection } from 'mysql2/promise';
import type { Config } from '../config.js';

export interface Corner {
  readonly env: Readonly<Record<string, string>>;
  readonly databaseUrl: string;
  /** Empties Redis: locks and wake-ups, all of it. Returns how many keys there were. */
  readonly flushRedis: () => Promise<number>;
  /** Takes away what was made. */
  readonly leave: (keep: boolean) => Promise<void>;
}

/**
 * Makes a database for this demo alone, so that it can be run again and again. Where the user may
 * not make one, the given database serves if no repayment is registered there.
 *
 * @throws Error when Redis holds keys: the demo flushes it, and they may be somebody's.
 */
export async function openCorner(config: Config): Promise<Corner> {
  const redis = new Redis(config.redisUrl, { maxRetriesPerRequest: 2, connectTimeout: 3_000 });
  redis.on('error', () => undefined);
  const keys = await redis.dbsize();
  if (keys > 0) {
    redis.disconnect();
    throw new Error(
      `Redis holds ${keys} keys, and the demo will flush it: ` +
        'point RECOUP_REDIS_URL at an empty database, such as redis://host:6379/9',
    );
  }
  const made = await makeDatabase(config.migrationUrl);
  const databaseUrl = made === null ? config.databaseUrl : withDatabase(config.databaseUrl, made);
  const migrationUrl =
    made === null ? config.migrationUrl : withDatabase(config.migrationUrl, made);
  return {
    databaseUrl,
    env: {
      RECOUP_DATABASE_URL: databaseUrl,
      RECOUP_MIGRATION_URL: migrationUrl,
      RECOUP_REDIS_URL: config.redisUrl,
    },
    async flushRedis() {
      const count = await redis.dbsize();
      await redis.flushdb();
      return count;
    },
    async leave(keep) {
      if (!keep) {
        await redis.flushdb().catch(() => undefined);
        if (made !== null) await onServer(config.migrationUrl, `DROP DATABASE IF EXISTS ${made}`);
      }
      redis.disconnect();
    },
  };
}

/** Null where the user may not, and the given database is empty. */
async function makeDatabase(ownerUrl: string): Promise<string | null> {
  const name = `recoup_demo_${randomBytes(4).toString('hex')}`;
  try {
    await onServer(ownerUrl, `CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    return name;
  } catch (error) {
    const { errno } = error as { errno?: number };
    const denied = errno === 1044 || errno === 1227 || errno === 1142;
    if (!denied) throw error;
  }
  if (await hasRepayments(ownerUrl)) {
    throw new Error(
      'the demo wants a database of its own: let the user of RECOUP_MIGRATION_URL create one, ' +
        'or name an empty one',
    );
  }
  return null;
}

async function hasRepayments(url: string): Promise<boolean> {
  try {
    const rows = await onServer(url, 'SELECT 1 FROM repayment LIMIT 1');
    return Array.isArray(rows) && rows.length > 0;
  } catch (error) {
    if ((error as { errno?: number }).errno === 1146) return false;
    throw error;
  }
}

async function onServer(url: string, sql: string): Promise<unknown> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 });
  try {
    const [rows] = await connection.query(sql);
    return rows;
  } finally {
    await connection.end();
  }
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
