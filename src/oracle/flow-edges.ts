/** What each kind of task may place, and when: the flows as the documents tell them, not as they are built. */
import type { BookedOperation } from './evidence.js';
import type { OrderStory, StoryKind, TaskStory } from './task-story.js';

interface Place {
  /** What must be true of the story for such an order to start. */
  readonly may: (story: TaskStory) => boolean;
  /** One of several channels, by a route. */
  readonly routed?: true;
  /** Not bound by the time until which new orders may start. */
  readonly untimed?: true;
}

interface Edges {
  readonly places: Partial<Readonly<Record<BookedOperation, Place>>>;
  /** The operation that the task is for. */
  readonly settles: BookedOperation;
}

export const ordersOf = (story: TaskStory, operation: BookedOperation): readonly OrderStory[] =>
  [...story.orders.values()].filter((one) => one.operation === operation);

export const doneBy = (story: TaskStory, operation: BookedOperation): boolean =>
  ordersOf(story, operation).some(({ status }) => status === 'succeeded');

const begun = (story: TaskStory, operation: BookedOperation): boolean =>
  ordersOf(story, operation).length > 0;

/** People have seen by hand to what an order of that kind should have done. */
export const seenTo = (
  story: TaskStory,
  operation: BookedOperation,
  regarding?: string,
): boolean => {
  const those = ordersOf(story, operation).filter(
    (one) => regarding === undefined || one.regarding === regarding,
  );
  const tries = new Set(those.map(({ attemptNo }) => attemptNo));
  return [...story.cases.values()].some(
    ({ reason, attemptNo, decision }) =>
      reason === 'undo_failed' && decision?.action === 'write_off' && tries.has(attemptNo),
  );
};

const undone = (story: TaskStory, operation: BookedOperation): boolean =>
  doneBy(story, operation) || seenTo(story, operation);

export const edgesOf: Readonly<Record<StoryKind, Edges>> = {
  deduction: { settles: 'charge', places: { charge: { routed: true, may: () => true } } },
  refund: { settles: 'refund', places: { refund: { untimed: true, may: () => true } } },
  withdrawal: {
    settles: 'payout',
    places: {
      debit: { may: (story) => story.withdrawal?.funding !== null && !begun(story, 'payout') },
      payout: {
        routed: true,
        may: (story) =>
          (story.withdrawal?.funding === null || doneBy(story, 'debit')) &&
          !begun(story, 'restore'),
      },
      restore: {
        untimed: true,
        may: (story) => doneBy(story, 'debit') && !doneBy(story, 'payout'),
      },
    },
  },
  top_up: {
    settles: 'credit',
    places: {
      pre_recharge: { may: (story) => !begun(story, 'charge') },
      charge: {
        routed: true,
        may: (story) => doneBy(story, 'pre_recharge') && !begun(story, 'void'),
      },
      credit: {
        untimed: true,
        may: (story) => doneBy(story, 'charge') && !begun(story, 'void'),
      },
      void: {
        untimed: true,
        may: (story) => doneBy(story, 'pre_recharge') && !doneBy(story, 'credit'),
      },
      refund: {
        untimed: true,
        may: (story) =>
          doneBy(story, 'charge') && !doneBy(story, 'credit') && undone(story, 'void'),
      },
    },
  },
};

/** A task fails only when what it took is back, or people have seen to it. */
export function mayFail(story: TaskStory): boolean {
  switch (story.kind) {
    case 'withdrawal':
      return doneBy(story, 'debit')
        ? undone(story, 'restore')
        : !doneBy(story, 'payout') || doneBy(story, 'restore');
    case 'top_up':
      if (doneBy(story, 'charge')) return undone(story, 'refund');
      return !doneBy(story, 'credit') && (!doneBy(story, 'pre_recharge') || undone(story, 'void'));
    case 'deduction':
    case 'refund':
      return ![...story.orders.values()].some(({ status }) => status === 'succeeded');
    default:
      throw new Error('unreachable kind of task');
  }
}

/** What an order may be to do: ways in which it is placed. */
export const operations: ReadonlySet<string> = new Set<BookedOperation>([
  'charge',
  'refund',
  'payout',
  'debit',
  'restore',
  'pre_recharge',
  'credit',
  'void',
]);
