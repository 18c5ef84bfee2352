import type { StoryKind } from './flow-edges.js';
import type { TaskStory } from './log-story.js';
import type { Violation, ViolationKind } from './verdict.js';

/** What became of the tasks of one kind, and what went wrong with money. */
export interface FlowFigures {
  tasks: number;
  succeeded: number;
  failed: number;
  /** Neither: under way, or before a person. */
  open: number;
  /** Money of a task moved twice, whichever way. */
  double_paid: number;
  lost: number;
  double_credited: number;
  wrongly_refunded: number;
  /** Tasks with any other violation. */
  other: number;
}

const none = (): FlowFigures => ({
  tasks: 0,
  succeeded: 0,
  failed: 0,
  open: 0,
  double_paid: 0,
  lost: 0,
  double_credited: 0,
  wrongly_refunded: 0,
  other: 0,
});

const columnOf: Partial<Readonly<Record<ViolationKind, keyof FlowFigures>>> = {
  double_charged: 'double_paid',
  double_paid: 'double_paid',
  restored_twice: 'double_paid',
  lost: 'lost',
  double_credited: 'double_credited',
  wrongly_refunded: 'wrongly_refunded',
  refunded_twice: 'wrongly_refunded',
};

/** A verdict by kind of task. What is about no task of ours is counted with `deduction`. */
export function figuresByFlow(
  violations: readonly Violation[],
  stories: ReadonlyMap<string, TaskStory>,
): Readonly<Record<StoryKind, FlowFigures>> {
  const figures = { deduction: none(), refund: none(), withdrawal: none(), top_up: none() };
  const taskOf = new Map<string, string>();
  for (const { taskId, kind, end, orders } of stories.values()) {
    taskOf.set(taskId, taskId);
    for (const { orderNo } of orders.values()) taskOf.set(orderNo, taskId);
    figures[kind].tasks += 1;
    figures[kind][end ?? 'open'] += 1;
  }
  const seen = new Set<string>();
  for (const { kind, about } of violations) {
    // `order`, `task`, or `topic task/attempt` of a message.
    const [, name = about] = /(?:^| )([^ /]+)(?:\/\d+)?$/.exec(about) ?? [];
    const task = taskOf.get(name) ?? name;
    const column = columnOf[kind] ?? 'other';
    if (seen.has(`${column} ${task}`)) continue;
    seen.add(`${column} ${task}`);
    figures[stories.get(task)?.kind ?? 'deduction'][column] += 1;
  }
  return figures;
}
