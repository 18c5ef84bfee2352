import { taskFlow, type Task } from '../engine/tasks.js';
import type { Entry } from '../engine/entries.js';
import type { Flow } from '../engine/flow.js';

/**
 * The deduction flow, whose `evolve` remembers what it made of an entry. A log is folded over and
 * over again in a world; the fold is pure, so the second time gives what the first time gave. The
 * verdict at the end folds without this.
 */
export function rememberedFlow(): Flow<Task> {
  const made = new WeakMap<Entry, { before: Task | null; after: Task }>();
  return {
    ...taskFlow,
    evolve(before, entry) {
      const known = made.get(entry);
      if (known?.before === before) return known.after;
      const after = taskFlow.evolve(before, entry);
      made.set(entry, { before, after });
      return after;
    },
  };
}
