/** Money that goes back: the channels' books against what our refunds and decisions say. */
import type { BookedOrder } from './evidence.js';
import { seenTo } from './flow-edges.js';
import { isBack } from './late-debits.js';
import type { CaseStory, OrderStory, TaskStory } from './task-story.js';
import type { Violation, ViolationKind } from './verdict.js';

type Stories = ReadonlyMap<string, TaskStory>;

interface PaidBack {
  readonly channelId: string;
  readonly captureOrderNo: string;
  readonly times: number;
  readonly amountMinor: bigint;
}

export function judgeRefunds(
  books: readonly BookedOrder[],
  stories: Stories,
  quiet: boolean,
): readonly Violation[] {
  const found: Violation[] = [];
  const find = (kind: ViolationKind, about: string, detail: string): void =>
    void found.push({ kind, about, detail });
  const paid = paidBack(books);
  for (const story of stories.values()) {
    if (story.kind === 'refund') onRefund(story, paid, quiet, find);
  }
  const ours = new Set([...stories.values()].flatMap(orderNosOf));
  for (const [orderNo, { channelId, times, amountMinor }] of paid) {
    if (ours.has(orderNo)) continue;
    find('unannounced', orderNo, `${channelId} paid ${amountMinor} back ${times} times`);
  }
  for (const { channelId, orderNo, captures, refunds = [] } of books) {
    const [taken, back] = [sumOf(captures), sumOf(refunds)];
    if (back > taken) find('refunded_twice', orderNo, `${channelId}: ${back} of ${taken}`);
  }
  for (const story of stories.values()) {
    for (const one of story.cases.values()) found.push(...onDecision(story, one, stories, quiet));
  }
  return found;
}

type Find = (kind: ViolationKind, about: string, detail: string) => void;

function onRefund(
  story: TaskStory,
  paid: ReadonlyMap<string, PaidBack>,
  quiet: boolean,
  find: Find,
): void {
  const { taskId, refund, amountMinor } = story;
  let executed = 0;
  for (const order of story.orders.values()) {
    const back = paid.get(order.orderNo);
    if (back === undefined) {
      if (order.status === 'succeeded')
        find('not_captured', taskId, `${order.orderNo} paid nothing`);
      continue;
    }
    executed += back.times;
    if (back.captureOrderNo !== refund?.captureOrderNo || back.channelId !== order.channelId) {
      find('amount_differs', taskId, `paid back of ${back.captureOrderNo}`);
    }
    if (back.amountMinor !== amountMinor * BigInt(back.times)) {
      find('amount_differs', taskId, `paid back ${back.amountMinor} of ${amountMinor}`);
    }
    onPaid(story, order, quiet, find);
  }
  if (executed > 1) find('refunded_twice', taskId, `paid back ${executed} times`);
}

function onPaid(story: TaskStory, order: OrderStory, quiet: boolean, find: Find): void {
  const { taskId, end, settledOrderNo } = story;
  const settled = end === 'succeeded' && settledOrderNo === order.orderNo;
  const told = [...story.cases.values()].some((one) => one.open);
  const unheard = end === null && !quiet;
  if (!settled && !told && !unheard) find('lost', taskId, `paid back, and our refund is ${end}`);
  if (order.status === 'declined' || order.status === 'not_executed') {
    find('dead_but_captured', taskId, `paid back, our log says ${order.status}`);
  }
}

/** What two people decided must have come about, once all is quiet. */
function onDecision(
  story: TaskStory,
  { decision, attemptNo }: CaseStory,
  stories: Stories,
  quiet: boolean,
): readonly Violation[] {
  if (decision === null || !quiet) return [];
  const order = story.orders.get(attemptNo);
  const refund = stories.get(decision.refundId ?? '');
  const oneLeg = story.kind === 'deduction' || story.kind === 'refund';
  const came: Readonly<Record<string, boolean>> = {
    adopt_captured: order?.status === 'succeeded' && (!oneLeg || story.end === 'succeeded'),
    // It may be captured after all, but then that is another case.
    mark_not_executed: order?.status !== 'open',
    refund: refund?.refund?.captureOrderNo === (story.refund?.captureOrderNo ?? order?.orderNo),
    // Given back, or people have seen to it; and until then somebody is shown why not.
    restore: order !== undefined && cameBack(story, order),
    write_off: true,
  };
  if (came[decision.action] === true) return [];
  const detail = `${decision.action} about attempt ${attemptNo}`;
  return [{ kind: 'decision_without_effect', about: story.taskId, detail }];
}

const cameBack = (story: TaskStory, debit: OrderStory): boolean =>
  isBack(story, debit) ||
  seenTo(story, 'restore', debit.orderNo) ||
  [...story.cases.values()].some(
    ({ open, reason, attemptNo, decision }) =>
      open ||
      (reason === 'contradiction' &&
        attemptNo === debit.attemptNo &&
        decision?.action === 'write_off'),
  );

/** By the refund's order number. */
function paidBack(books: readonly BookedOrder[]): ReadonlyMap<string, PaidBack> {
  const paid = new Map<string, PaidBack>();
  for (const { channelId, orderNo: captureOrderNo, refunds = [] } of books) {
    for (const { orderNo, amountMinor } of refunds) {
      if (orderNo === undefined) continue;
      const before = paid.get(orderNo);
      paid.set(orderNo, {
        channelId,
        captureOrderNo,
        times: (before?.times ?? 0) + 1,
        amountMinor: (before?.amountMinor ?? 0n) + amountMinor,
      });
    }
  }
  return paid;
}

const orderNosOf = (story: TaskStory): readonly string[] =>
  [...story.orders.values()]
    .filter(({ operation }) => operation === 'refund')
    .map(({ orderNo }) => orderNo);

const sumOf = (all: readonly { readonly amountMinor: bigint }[]): bigint =>
  all.reduce((sum, { amountMinor }) => sum + amountMinor, 0n);
