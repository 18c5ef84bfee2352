import type { Clock } from './clock.js';
import type { Log } from './log.js';

export interface Interval {
  /** Once; again does nothing. */
  start(): void;
  /** Ends after the round under way. */
  close(): Promise<void>;
}

/**
 * Does something again and again in this process, never two rounds at once. A plain interval: what
 * repairs must not depend on what broke. A round that throws is said so, and the next one comes.
 */
export function every(
  intervalMs: number,
  what: string,
  round: (signal: AbortSignal) => Promise<void>,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Interval {
  const stop = new AbortController();
  let running: Promise<void> | null = null;
  const run = async (): Promise<void> => {
    for (;;) {
      // Instances started together by one deploy shall not go in step.
      await clock.sleep(intervalMs * (0.9 + 0.2 * Math.random()), stop.signal);
      if (stop.signal.aborted) return;
      try {
        await round(stop.signal);
      } catch (error) {
        log.warn(`${what} did not finish`, { why: String(error) });
      }
    }
  };
  return {
    start: () => void (running ??= run()),
    async close() {
      stop.abort();
      await running;
    },
  };
}
