import { setTimeout as delay } from 'node:timers/promises';

/** Time, as a port: the simulator and the tests drive it. */
export interface Clock {
  /** Wall clock, ms since the epoch, UTC. For records, expiries and schedules. */
  nowMs(): number;
  /** Monotonic, ms from an arbitrary start. For leases and durations; never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  async sleep(ms, signal) {
    await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  },
};
