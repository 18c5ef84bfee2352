/**
 * Entries -> notices: what business systems are told of a task. A notice is written in the
 * transaction of the entry that it tells of, or not at all (the outbox's principle), and names an
 * event by what can never come twice, so that however often it is written it is one.
 *
 * Bodies hold ids, codes and amounts: no borrower, no account, no words of a channel's or a caller's
 * (rule 13).
 */
import { hash } from 'node:crypto';
import { isLive, type Attempt } from '../engine/attempt.js';
import type { TaskKind } from '../engine/entries.js';
import type { Append } from '../engine/journal.js';
import { statusOf } from '../engine/orders-state.js';
import type { Task, TaskOf } from '../engine/tasks.js';
import { stageOf } from '../engine/top-up.js';
import { sqlTime } from './database.js';
import type { Row } from './rows.js';

/** Whether some destination is told of events of this type. */
export type WantsNotice = (type: string) => boolean;

type Facts = Readonly<Record<string, string | number | null>>;

/** What a business system needs to know its own record by. One function a kind of task. */
const factsOf: { readonly [K in TaskKind]: (task: TaskOf<K>) => Facts } = {
  deduction: ({ deduction }) => ({
    repayment_id: deduction.repaymentId,
    amount_minor: Number(deduction.amountMinor),
    currency: deduction.currency,
    source: deduction.source,
    batch_id: deduction.batchId,
  }),
  refund: ({ refund }) => ({
    ...('topUpId' in refund
      ? { top_up_id: refund.topUpId, taken_from: 'excess' }
      : {
          deduction_id: refund.deductionId,
          repayment_id: refund.repaymentId,
          taken_from: refund.from,
        }),
    amount_minor: Number(refund.amountMinor),
    currency: refund.currency,
  }),
  withdrawal: ({ withdrawal }) => ({
    member_id: withdrawal.memberId,
    amount_minor: Number(withdrawal.amountMinor),
    currency: withdrawal.currency,
  }),
  top_up: ({ topUp }) => ({
    customer_id: topUp.customerId,
    amount_minor: Number(topUp.amountMinor),
    credit_minor: Number(topUp.creditMinor),
    rule: topUp.rule,
    currency: topUp.currency,
  }),
};

/** A state's own kind chooses the facts, so that they belong together. */
const facts = (task: Task): Facts => (factsOf[task.kind] as (task: Task) => Facts)(task);

export function noticesOf(append: Append<Task>, wants: WantsNotice): readonly Row[] {
  return [
    ...endNotices(append, wants),
    ...unknownCredit(append, wants),
    ...scheduleNotices(append, wants),
  ];
}

/** `deduction.succeeded`, `refund.failed`, …: each time that a task comes to an end. */
function endNotices({ state, entries, afterSeq }: Append<Task>, wants: WantsNotice): Row[] {
  const { end } = state;
  if (end === null) return [];
  const type = `${state.kind}.${end.kind}`;
  return entries.flatMap(({ kind, atMs }, index) => {
    if ((kind !== 'settled' && kind !== 'failed') || !wants(type)) return [];
    const done = end.kind === 'succeeded' ? state.attempts[end.attemptNo - 1]?.order : undefined;
    const data = {
      id: state.taskId,
      status: statusOf(state),
      ...facts(state),
      channel_id: done?.channelId ?? null,
      order_no: done?.orderNo ?? null,
      failure_code: end.kind === 'failed' ? end.code : null,
    };
    const event = { type, key: `${state.taskId}/${afterSeq + index + 1}`, atMs };
    return [noticeRow(event, state.taskId, data)];
  });
}

const unknownCreditType = 'top_up.credit_unknown';

/** Once a top-up: its credit is not confirmed, and counts as credited until its end is told. */
function unknownCredit({ state, before, entries }: Append<Task>, wants: WantsNotice): Row[] {
  if (state.kind !== 'top_up' || stageOf(state) !== 'credit_unknown') return [];
  if (before?.kind === 'top_up' && stageOf(before) === 'credit_unknown') return [];
  if (!wants(unknownCreditType)) return [];
  const { taskId } = state;
  const atMs = entries.at(-1)?.atMs ?? 0;
  const data = { id: taskId, status: statusOf(state), ...facts(state) };
  return [noticeRow({ type: unknownCreditType, key: taskId, atMs }, taskId, data)];
}

const endingType = 'operators.schedule_ending';

/** Once an order, however often its schedule starts anew. */
function scheduleNotices(append: Append<Task>, wants: WantsNotice): Row[] {
  if (!wants(endingType)) return [];
  const { taskId, state, entries } = append;
  return schedulesEnding(append).map((attempt) => {
    const { order } = attempt;
    const event = { type: endingType, key: order.orderNo, atMs: entries.at(-1)?.atMs ?? 0 };
    const data = {
      task_id: taskId,
      task_kind: state.kind,
      operation: order.operation ?? 'charge',
      channel_id: order.channelId,
      order_no: order.orderNo,
      amount_minor: Number(order.amountMinor),
      currency: order.currency,
      asks: attempt.asks,
      last_ask_at: attempt.nextAskMs === null ? null : new Date(attempt.nextAskMs).toISOString(),
    };
    return noticeRow(event, taskId, data);
  });
}

/** Orders of unknown outcome with one ask left, after which only a person can decide. */
export function schedulesEnding({ state, entries }: Append<Task>): readonly Attempt[] {
  const heard = entries.flatMap((entry) =>
    entry.kind === 'replied' || entry.kind === 'taken_over' ? [entry.attemptNo] : [],
  );
  if (heard.length === 0) return [];
  return state.attempts.filter(
    (one) =>
      heard.includes(one.no) &&
      isLive(one) &&
      one.nextAskMs !== null &&
      one.asks === one.nature.pollScheduleMs.length - 1,
  );
}

function noticeRow(
  { type, key, atMs }: { readonly type: string; readonly key: string; readonly atMs: number },
  taskId: string,
  data: Facts,
): Row {
  const body = { type, timestamp: new Date(atMs).toISOString(), data };
  return {
    message_id: `msg_${hash('sha256', `${type}/${key}`, 'hex').slice(0, 32)}`,
    type,
    task_id: taskId,
    body: JSON.stringify(body),
    created_at: sqlTime(atMs),
  };
}
