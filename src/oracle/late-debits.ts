/** A debit that was found done too late, and that people want given back, as the log tells of it. */
import { ordersOf, seenTo } from './flow-edges.js';
import type { OrderStory, TaskStory } from './task-story.js';

/** What an order is for: each debit that is restored is a leg of its own. */
export const legOf = ({
  operation,
  regarding,
}: Pick<OrderStory, 'operation' | 'regarding'>): string =>
  operation === 'restore' ? `restore ${regarding}` : operation;

export const isOver = (story: TaskStory, { operation }: OrderStory): boolean =>
  story.end !== null && operation !== 'restore';

/** After the end: a debit that people adopted, and that the service has not denied since. */
export function mayRestore(story: TaskStory, regarding: string | undefined): boolean {
  const debit = [...story.orders.values()].find(({ orderNo }) => orderNo === regarding);
  return (
    debit !== undefined &&
    story.adopted.has(debit.attemptNo) &&
    ![...story.cases.values()].some(
      ({ reason, attemptNo, open }) =>
        open && reason === 'contradiction' && attemptNo === debit.attemptNo,
    )
  );
}

/** A debit that was made besides the one that was heard of first, or was heard of after the end. */
export const isStray = (story: TaskStory, debit: OrderStory): boolean =>
  debit.operation === 'debit' &&
  debit.doneAt > 0 &&
  (debit.excess ||
    ordersOf(story, 'debit').some(({ doneAt }) => doneAt > 0 && doneAt < debit.doneAt));

export const isBack = (story: TaskStory, { orderNo }: OrderStory): boolean =>
  ordersOf(story, 'restore').some((one) => one.regarding === orderNo && one.status === 'succeeded');

/** A debit that people adopted is on its way back, or still to be sent. */
export const owesDebits = (story: TaskStory): boolean =>
  story.end !== null &&
  (ordersOf(story, 'restore').some(({ status }) => status === 'open') ||
    [...story.adopted].some((attemptNo) => {
      const debit = story.orders.get(attemptNo);
      return (
        debit !== undefined && !isBack(story, debit) && !seenTo(story, 'restore', debit.orderNo)
      );
    }));
