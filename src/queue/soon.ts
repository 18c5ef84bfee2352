import type { Clock } from '../clock.js';

const answerMs = 2_000;

/** Null when it fails or takes too long: a Redis that is frozen must not hold whoever asks. */
export async function soon<T>(clock: Clock, ask: () => Promise<T>): Promise<T | null> {
  const timer = new AbortController();
  const late = clock.sleep(answerMs, timer.signal).then(() => null);
  const answer = await Promise.race([ask().catch(() => null), late]);
  timer.abort();
  return answer;
}
