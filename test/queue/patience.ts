/** Patience with the real Redis: what the product gives up after a second or two a slow machine may need. */
import type { RedisOptions } from 'ioredis';
import { systemClock, type Clock } from '../../src/clock.js';

const patienceMs = 30_000;

export const patient = <O extends RedisOptions>(options: O): O => ({
  ...options,
  commandTimeout: patienceMs,
});

/** For who sleeps only until they give up. */
export const patientClock: Clock = {
  ...systemClock,
  sleep: async (_ms, signal) => await systemClock.sleep(patienceMs, signal),
};
