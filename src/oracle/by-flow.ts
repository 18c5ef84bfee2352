import type { BookedOperation, Evidence } from './evidence.js';
import { doneBy } from './flow-edges.js';
import { statusOf, type StoryKind, type TaskStory } from './task-story.js';
import type { Violation, ViolationKind } from './verdict.js';

const kindOf = {
  deductions: 'deduction',
  refunds: 'refund',
  withdrawals: 'withdrawal',
  top_ups: 'top_up',
} as const satisfies Record<string, StoryKind>;

export type FlowName = keyof typeof kindOf;
export const flowNames = Object.keys(kindOf) as readonly FlowName[];

/** What may never be, and the words for it. */
const harms = {
  /** Charged, debited, paid out, restored or refunded twice, or paid out and given back. */
  double_paid: ['double_paid', 'double_charged', 'restored_twice', 'refunded_twice'],
  lost: ['lost', 'not_captured', 'open_but_captured', 'dead_but_captured', 'balance_differs'],
  double_credited: ['double_credited', 'credited_unpaid'],
  wrongly_refunded: ['wrongly_refunded'],
} as const satisfies Record<string, readonly ViolationKind[]>;

export type Harm = keyof typeof harms;
export const harmNames = Object.keys(harms) as readonly Harm[];

/** What became of the tasks of one kind, and what went wrong with money. */
export interface FlowFigures extends Readonly<Record<Harm, number>> {
  readonly started: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Before a person. */
  readonly needs_review: number;
  /** None of these. */
  readonly in_flight: number;
  /** Not done in the end, and the money that had been taken is back. */
  readonly given_back: number;
  /** What else is wrong: tables, books, the order of entries. */
  readonly other: number;
}

/** A verdict by kind of task. What is about no task of ours is counted with deductions. */
export function figuresByFlow(
  { members = [], memberEntries = [] }: Pick<Evidence, 'members' | 'memberEntries'>,
  stories: ReadonlyMap<string, TaskStory>,
  violations: readonly Violation[],
): Readonly<Record<FlowName, FlowFigures>> {
  const kinds = new Map<string, StoryKind>(members.map(({ id }) => [id, 'withdrawal']));
  for (const { taskId, kind, orders } of stories.values()) {
    kinds.set(taskId, kind);
    for (const { orderNo } of orders.values()) kinds.set(orderNo, kind);
  }
  const harmed = violations.map(({ kind, about }) => {
    const name = kinds.has(about) ? about : nameIn(about);
    return { of: kinds.get(name) ?? 'deduction', harm: harmOf(kind), name };
  });
  const figures = (kind: StoryKind): FlowFigures => {
    const those = [...stories.values()].filter((story) => story.kind === kind);
    const having = (status: string): number =>
      those.filter((story) => statusOf(story) === status).length;
    const count = (harm: Harm | 'other'): number =>
      new Set(harmed.filter((one) => one.of === kind && one.harm === harm).map(({ name }) => name))
        .size;
    const local = memberEntries.filter((entry) => entry.kind === 'given_back').length;
    return {
      started: those.length,
      succeeded: having('succeeded'),
      failed: having('failed'),
      needs_review: having('needs_review'),
      in_flight: having('processing'),
      given_back:
        those.filter((story) => doneBy(story, backBy[kind])).length +
        (kind === 'withdrawal' ? local : 0),
      double_paid: count('double_paid'),
      lost: count('lost'),
      double_credited: count('double_credited'),
      wrongly_refunded: count('wrongly_refunded'),
      other: count('other'),
    };
  };
  return {
    deductions: figures('deduction'),
    refunds: figures('refund'),
    withdrawals: figures('withdrawal'),
    top_ups: figures('top_up'),
  };
}

/** A task or an order in `order`, `task`, or `topic task/attempt` of a message. */
const nameIn = (about: string): string => /(?:^| )([^ /]+)(?:\/[\d.]+)?$/.exec(about)?.[1] ?? about;

const harmOf = (kind: ViolationKind): Harm | 'other' =>
  harmNames.find((harm) => (harms[harm] as readonly ViolationKind[]).includes(kind)) ?? 'other';

/** What gives back the money of a task that is not done; a deduction takes none then. */
const backBy: Readonly<Record<StoryKind, BookedOperation>> = {
  deduction: 'refund',
  refund: 'refund',
  withdrawal: 'restore',
  top_up: 'refund',
};
