import type { Clock } from '../../src/clock.js';
import { encodeEntry, type Entry } from '../../src/engine/entries.js';
import type { RunResult } from '../../src/engine/executor.js';
import type { TaskId } from '../../src/ids.js';

/** The part of a process of Recoup that it takes. */
export interface Runs {
  readonly clock: Clock;
  readonly executor: { run(task: TaskId): Promise<RunResult<Asked>> };
  readonly deductions: { log(task: TaskId): Promise<readonly { readonly entry: Entry }[]> };
}

interface Asked {
  readonly attempts: readonly { readonly nextAskMs: number | null }[];
}

/** Longer than any order of the practice channels lives, with room for a busy machine. */
const withinMs = 50_000;

/**
 * Runs a task, as wake-ups would, until it ends or waits for a person.
 *
 * @throws Error with the task's log, when it does neither in time.
 */
export async function finish(by: Runs, task: TaskId): Promise<'ended' | 'review'> {
  const endsAtMs = performance.now() + withinMs;
  for (;;) {
    const { outcome, state } = await by.executor.run(task);
    if (outcome === 'ended' || outcome === 'review') return outcome;
    if (performance.now() > endsAtMs) {
      const story = (await by.deductions.log(task)).map(({ entry }) => encodeEntry(entry));
      throw new Error(`${task} still ${outcome} after ${withinMs} ms:\n${story.join('\n')}`);
    }
    const dueMs = state?.attempts.at(-1)?.nextAskMs ?? Date.now();
    await by.clock.sleep(Math.max(10, Math.min(500, dueMs - Date.now())));
  }
}
