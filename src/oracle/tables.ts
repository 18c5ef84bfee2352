import type { AttemptRow, Evidence } from './evidence.js';
import { ordersOf } from './flow-edges.js';
import { owesDebits } from './late-debits.js';
import { isLive, statusOf, type OrderStory, type TaskStory } from './task-story.js';
import type { Violation, ViolationKind } from './verdict.js';

/** The projected tables against what the log tells; and what the tables must be by themselves. */
export function compareTables(
  evidence: Evidence,
  stories: ReadonlyMap<string, TaskStory>,
): readonly Violation[] {
  const found: Violation[] = [];
  const find: Find = (kind, about, detail) => void found.push({ kind, about, detail });
  onDeductions(evidence, stories, find);
  onAttempts(evidence, stories, find);
  onCases(evidence, stories, find);
  onInFlight(evidence, stories, find);
  onRefunds(evidence, stories, find);
  onFlows(evidence, stories, find);
  onCredits(evidence, stories, find);
  onRepayments(evidence, stories, find);
  return found;
}

type Find = (kind: ViolationKind, about: string, detail: string) => void;
type Stories = ReadonlyMap<string, TaskStory>;

function onDeductions({ deductions }: Evidence, stories: Stories, find: Find): void {
  const rows = new Map(deductions.map((row) => [row.id, row]));
  for (const id of rows.keys()) {
    if (!stories.has(id)) find('tables_differ', id, 'a deduction without a log');
  }
  for (const story of stories.values()) {
    const { taskId } = story;
    if (story.kind !== 'deduction') continue;
    const row = rows.get(taskId);
    if (row === undefined) {
      find('tables_differ', taskId, 'a log without a deduction');
      continue;
    }
    same(find, taskId, 'status', row.status, statusOf(story));
    same(find, taskId, 'amount', String(row.amount_minor), String(story.amountMinor));
    same(find, taskId, 'attempts', Number(row.attempts), story.orders.size);
    same(find, taskId, 'order number', row.order_no, story.settledOrderNo);
    same(find, taskId, 'repayment', row.repayment_id, story.repaymentId);
  }
}

function onRefunds({ refunds }: Evidence, stories: Stories, find: Find): void {
  const rows = new Map(refunds.map((row) => [row.id, row]));
  for (const id of rows.keys()) {
    if (!stories.has(id)) find('tables_differ', id, 'a refund without a log');
  }
  for (const story of stories.values()) {
    const { taskId, refund } = story;
    if (refund === null) continue;
    const row = rows.get(taskId);
    same(find, taskId, 'refund status', row?.status, statusOf(story));
    same(find, taskId, 'refund amount', String(row?.amount_minor), String(story.amountMinor));
    same(find, taskId, 'refund order', row?.order_no, story.settledOrderNo);
    same(find, taskId, 'refund of', row?.deduction_id ?? null, refund.deductionId ?? null);
    same(find, taskId, 'refund of', row?.top_up_id ?? null, refund.topUpId ?? null);
  }
}

function onFlows({ withdrawals, topUps }: Evidence, stories: Stories, find: Find): void {
  const tables = { withdrawal: withdrawals, top_up: topUps };
  for (const [kind, table] of Object.entries(tables)) {
    if (table === undefined) continue;
    const rows = new Map(table.map((row) => [row.id, row]));
    for (const id of rows.keys()) {
      if (stories.get(id)?.kind !== kind) find('tables_differ', id, `a ${kind} without a log`);
    }
    for (const story of stories.values()) {
      if (story.kind !== kind) continue;
      const { taskId } = story;
      const row = rows.get(taskId);
      same(find, taskId, `${kind} status`, row?.status, statusOf(story));
      same(find, taskId, `${kind} amount`, String(row?.amount_minor), String(story.amountMinor));
      same(find, taskId, `${kind} attempts`, Number(row?.attempts), story.orders.size);
      const orderNo = kind === 'top_up' ? paymentOf(story)?.orderNo : story.settledOrderNo;
      same(find, taskId, `${kind} order`, row?.order_no ?? null, orderNo ?? null);
      const back = row !== undefined && 'gives_back' in row ? Number(row.gives_back) : 0;
      same(find, taskId, 'gives back', back, owesDebits(story) ? 1 : 0);
    }
  }
}

/** The payment of a top-up: where two were made, the one that was heard of first. */
const paymentOf = (story: TaskStory): OrderStory | undefined =>
  ordersOf(story, 'charge')
    .filter(({ doneAt }) => doneAt > 0)
    .toSorted((a, b) => a.doneAt - b.doneAt)[0];

/** A payment is used by a credit that stands or may stand, or by a refund that was made or may be. */
function onPayment(
  story: TaskStory,
  credited: Map<string, bigint>,
  given: Map<string, bigint>,
): void {
  const payment = paymentOf(story);
  if (payment === undefined) return;
  const refunds = ordersOf(story, 'refund');
  const stands = ordersOf(story, 'credit').some(
    ({ status }) => status === 'open' || (status === 'succeeded' && refunds.length === 0),
  );
  if (stands) add(credited, payment.orderNo, story.amountMinor);
  const goes = refunds.some(({ status }) => status === 'open' || status === 'succeeded');
  if (goes) add(given, payment.orderNo, story.amountMinor);
}

/** What of each capture is credited, and what is given back or about to be. */
function onCredits({ attempts }: Evidence, stories: Stories, find: Find): void {
  const credited = new Map<string, bigint>();
  const given = new Map<string, bigint>();
  for (const story of stories.values()) {
    const { kind, settledOrderNo, refund, end, amountMinor } = story;
    if (kind === 'top_up') onPayment(story, credited, given);
    if (kind === 'deduction' && settledOrderNo !== null) add(credited, settledOrderNo, amountMinor);
    if (refund === null || end === 'failed') continue;
    add(given, refund.captureOrderNo, amountMinor);
    if (refund.from === 'repayment') add(credited, refund.captureOrderNo, -amountMinor);
  }
  for (const { order_no: orderNo, credited_minor: has, refund_minor: back } of attempts) {
    if (has === undefined || back === undefined) continue;
    same(find, orderNo, 'credited', BigInt(has), credited.get(orderNo) ?? 0n);
    same(find, orderNo, 'given back', BigInt(back), given.get(orderNo) ?? 0n);
  }
}

function add(sums: Map<string, bigint>, orderNo: string, amount: bigint): void {
  sums.set(orderNo, (sums.get(orderNo) ?? 0n) + amount);
}

function onAttempts({ attempts }: Evidence, stories: Stories, find: Find): void {
  const rows = new Map(attempts.map((row) => [`${row.task_id} ${row.attempt_no}`, row]));
  const live = new Set<string>();
  for (const row of attempts) {
    if (statusInLog(row) !== 'open') continue;
    if (live.has(row.task_id)) find('two_live', row.task_id, 'two live attempts');
    live.add(row.task_id);
  }
  for (const story of stories.values()) {
    for (const order of story.orders.values()) {
      const key = `${story.taskId} ${order.attemptNo}`;
      const row = rows.get(key);
      rows.delete(key);
      if (row === undefined) {
        find('tables_differ', story.taskId, `attempt ${order.attemptNo} has no row`);
        continue;
      }
      same(find, story.taskId, 'attempt status', statusInLog(row), order.status);
      same(find, story.taskId, 'order number', row.order_no, order.orderNo);
      same(find, story.taskId, 'channel', row.channel_id, order.channelId);
    }
  }
  for (const key of rows.keys()) find('tables_differ', key, 'an attempt that no log announces');
}

function statusInLog({ status }: AttemptRow): OrderStory['status'] {
  if (status === 'succeeded' || status === 'declined' || status === 'not_executed') return status;
  return 'open';
}

function onCases({ cases }: Evidence, stories: Stories, find: Find): void {
  const rows = new Map(cases.map((row) => [`${row.task_id} ${row.case_no}`, row]));
  for (const { taskId, cases: told } of stories.values()) {
    for (const [no, { reason, open }] of told) {
      const key = `${taskId} ${no}`;
      const row = rows.get(key);
      rows.delete(key);
      same(find, taskId, `case ${no}`, row?.reason, reason);
      if (row !== undefined) same(find, taskId, `case ${no} open`, row.closed_at === null, open);
    }
  }
  for (const key of rows.keys()) find('tables_differ', key, 'a case that no log opened');
}

function onInFlight({ inFlight }: Evidence, stories: Stories, find: Find): void {
  const rows = new Map(inFlight.map((row) => [row.task_id, row]));
  for (const story of stories.values()) {
    const { taskId } = story;
    const row = rows.get(taskId);
    rows.delete(taskId);
    if (row === undefined) {
      if (isUnderWay(story)) find('abandoned', taskId, 'under way, and not in flight');
      continue;
    }
    if (!isUnderWay(story)) {
      find('tables_differ', taskId, 'ended, and still in flight');
      continue;
    }
    same(find, taskId, 'seq in flight', Number(row.seq), story.length);
    const waits = row.wake_at !== null || statusOf(story) === 'needs_review' || isHeld(story);
    if (!waits) find('abandoned', taskId, 'no wake-up, no schedule and no person');
  }
  for (const taskId of rows.keys()) find('tables_differ', taskId, 'in flight, and in no log');
}

const isUnderWay = (story: TaskStory): boolean => isLive(story) || owesDebits(story);

/** It has ended, and what is to go back waits for a decision. */
const isHeld = (story: TaskStory): boolean =>
  !isLive(story) &&
  [...story.cases.values()].some(
    ({ open, reason }) =>
      open && ['undo_failed', 'outcome_unknown', 'contradiction'].includes(reason),
  );

function onRepayments({ repayments }: Evidence, stories: Stories, find: Find): void {
  const paid = new Map<string, bigint>();
  const collecting = new Map<string, bigint>();
  const live = new Set<string>();
  for (const story of stories.values()) {
    const { repaymentId: id, amountMinor, end, refund, kind } = story;
    if (kind === 'withdrawal' || kind === 'top_up' || refund?.topUpId !== undefined) continue;
    if (refund !== null) {
      // What was credited is owed again once it has been given back.
      const owed = end === 'succeeded' && refund.from === 'repayment' ? amountMinor : 0n;
      paid.set(id, (paid.get(id) ?? 0n) - owed);
      continue;
    }
    if (end === null) {
      if (live.has(id)) find('two_live', id, 'two live deductions for one repayment');
      live.add(id);
    }
    const sums = end === 'succeeded' ? paid : end === 'failed' ? null : collecting;
    sums?.set(id, (sums.get(id) ?? 0n) + amountMinor);
  }
  for (const row of repayments) {
    const [hasPaid, hasCollecting] = [BigInt(row.paid_minor), BigInt(row.collecting_minor)];
    const [shouldPaid, should] = [paid.get(row.id) ?? 0n, collecting.get(row.id) ?? 0n];
    if (hasPaid !== shouldPaid || hasCollecting !== should) {
      const has = `paid ${hasPaid} and collecting ${hasCollecting}`;
      find('repayment_differs', row.id, `${has}; its deductions make ${shouldPaid} and ${should}`);
    }
    if (hasPaid + hasCollecting > BigInt(row.due_minor)) {
      find('repayment_differs', row.id, `${hasPaid} + ${hasCollecting} is above ${row.due_minor}`);
    }
  }
}

function same(find: Find, about: string, what: string, table: unknown, log: unknown): void {
  if (table === log) return;
  find('tables_differ', about, `${what}: the table says ${String(table)}, the log ${String(log)}`);
}
