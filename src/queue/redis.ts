import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from '../engine/ports.js';

type ConnectOptions = Omit<RedisOptions, 'replyMapping'>;

/** Reconnects for ever, at most two seconds apart. */
const retryStrategy = (tries: number): number => Math.min(2_000, 50 * 2 ** Math.min(tries, 6));

/** For BullMQ's workers, which block and must never give up. */
export const blockingOptions: ConnectOptions = { maxRetriesPerRequest: null, retryStrategy };

/** For callers who must go on without Redis: a command fails soon instead of waiting. */
export const failFastOptions: ConnectOptions = {
  maxRetriesPerRequest: 1,
  enableOfflineQueue: false,
  commandTimeout: 2_000,
  connectTimeout: 2_000,
  retryStrategy,
};

/**
 * For the locks: a failed try is followed by redlock's clean-up, so it costs this twice. What many
 * tasks ask for in one turn of the loop goes in one write: a write a command was a tenth of Node's time.
 */
export const lockOptions: ConnectOptions = {
  ...failFastOptions,
  commandTimeout: 1_000,
  enableAutoPipelining: true,
};

export function connectRedis(url: string, options: ConnectOptions, log: Log, what: string): Redis {
  const redis = new Redis(url, options);
  let down = false;
  // One line when it goes and one when it is back: a reconnect loop must not fill the log.
  redis.on('error', (error: Error) => {
    if (!down) log.warn('redis is not reachable', { what, why: error.message });
    down = true;
  });
  redis.on('ready', () => {
    if (down) log.info('redis is back', { what });
    down = false;
  });
  return redis;
}
