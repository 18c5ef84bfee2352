/** A page of tasks, newest first, as the `list` commands print it. */
import { InvalidArgumentError } from 'commander';
import { taskStatuses, type TaskStatus } from '../engine/orders-state.js';
import type { TaskId } from '../ids.js';
import type { CommonOptions, Result } from './command.js';
import { table } from './table.js';

export interface PageOptions extends CommonOptions {
  readonly status?: TaskStatus;
  readonly before?: TaskId;
  readonly limit: number;
}

/** A column's head, and what stands under it. */
type Column<R> = readonly [head: string, cell: (one: R) => string];

export function taskPage<R extends { readonly id: TaskId; readonly createdAt: Date }>(
  name: string,
  found: readonly R[],
  view: (one: R) => unknown,
  limit: number,
  columns: readonly Column<R>[],
): Result {
  const all: readonly Column<R>[] = [
    ['id', ({ id }) => id],
    ['accepted (UTC)', ({ createdAt }) => createdAt.toISOString().slice(0, 19)],
    ...columns,
  ];
  const rows = found.map((one) => all.map(([, cell]) => cell(one)));
  const head = all.map(([text]) => text);
  return {
    json: {
      [name]: found.map(view),
      next_before: found.length === limit ? (found.at(-1)?.id ?? null) : null,
    },
    text: found.length === 0 ? 'none' : table(head, rows),
  };
}

export const asStatus = (text: string): TaskStatus => oneOf(taskStatuses, text);

export function oneOf<T extends string>(all: readonly T[], text: string): T {
  const one = all.find((name) => name === text);
  if (one === undefined) throw new InvalidArgumentError(`One of ${all.join(', ')}.`);
  return one;
}
