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
    if (signal === undefined) return await delay(ms);
    if (signal.aborted) return;
    // Not by the signal of `delay`: it would reject with an error, whose stack costs more than all of this.
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake, { once: true });
    });
  },
};
