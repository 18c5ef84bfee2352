/** A task as people read it: its orders, its cases, and its log as a story. */
import { assertNever } from '../assert.js';
import type { Entry } from '../engine/entries.js';
import { operationOf } from '../engine/order.js';
import type { Answer } from '../engine/reply.js';
import type { AttemptRecord, CaseRecord, LoggedEntry } from '../intake/records.js';
import type { TaskStory } from '../intake/task-story.js';
import { formatDecimalAmount } from '../money.js';
import { table } from './table.js';

export const storyLines = ({ attempts, cases, log }: TaskStory): readonly string[] => [
  '',
  attemptTable(attempts),
  ...cases.map(caseLine),
  '',
  ...timeline(log),
];

function attemptTable(attempts: readonly AttemptRecord[]): string {
  const rows = attempts.map((one) => [
    String(one.attemptNo),
    one.operation,
    one.channelId,
    one.orderNo,
    one.status,
    one.declineCode ?? one.proof ?? one.unknownWhy ?? one.channelRef ?? '',
  ]);
  return table(['attempt', '', 'channel', 'order number', 'status', ''], rows);
}

const caseLine = (one: CaseRecord): string =>
  `case ${one.caseNo}: ${one.reason}, ${one.closedAt === null ? 'open' : 'closed'}; ${one.evidence}`;

function timeline(log: readonly LoggedEntry[]): string[] {
  const beganMs = log[0]?.entry.atMs ?? 0;
  let before = '';
  return log.map(({ seq, writer, entry }) => {
    const sinceMs = entry.atMs - beganMs;
    const since = sinceMs < 100_000 ? `${(sinceMs / 1_000).toFixed(3)} s` : `${sinceMs / 1_000} s`;
    const name = writer.replace(/\.\d+$/, '');
    const hand = name === before ? '' : `   [${name}]`;
    before = name;
    return `${String(seq).padStart(3)}  +${since.padStart(10)}  ${told(entry)}${hand}`;
  });
}

/** An entry in words. */
export function told(entry: Entry): string {
  switch (entry.kind) {
    case 'accepted':
      return `accepted ${formatDecimalAmount(entry.deduction.amountMinor)}`;
    case 'refund_accepted':
    case 'top_up_refund_accepted':
      return `refund of ${formatDecimalAmount(entry.refund.amountMinor)} accepted`;
    case 'withdrawal_accepted':
      return `withdrawal of ${formatDecimalAmount(entry.withdrawal.amountMinor)} accepted`;
    case 'top_up_accepted':
      return `top-up of ${formatDecimalAmount(entry.topUp.amountMinor)} accepted (${entry.topUp.rule})`;
    case 'routed':
      return routed(entry.route);
    case 'charge_intended':
      return `about to charge ${entry.order.channelId} under ${entry.order.orderNo}`;
    case 'refund_intended':
      return `about to refund at ${entry.order.channelId} under ${entry.order.orderNo}`;
    case 'intended': {
      const { channelId, orderNo } = entry.order;
      return `about to ${operationOf(entry.order)} at ${channelId} under ${orderNo}`;
    }
    case 'resend_intended':
      return `about to send order ${entry.attemptNo} again, byte-identical`;
    case 'close_intended':
      return `about to close order ${entry.attemptNo} for ever`;
    case 'taken_over':
      return `taken over in mid-call by ${entry.by}: ask before acting`;
    case 'replied':
      return `${entry.via}: ${answered(entry.answer)}`;
    case 'captured_again':
      return `${entry.source}: captured ${entry.captures} times under one order number`;
    case 'not_executed':
      return `proven not executed: ${entry.proof}`;
    case 'settled':
      return `settled: ${formatDecimalAmount(entry.amountMinor)} by ${entry.channelId}`;
    case 'failed':
      return `failed: ${entry.code} (${entry.detail})`;
    case 'case_opened':
      return `case ${entry.caseNo} opened: ${entry.reason}; ${entry.evidence}`;
    case 'case_closed':
      return `case ${entry.caseNo} closed: ${entry.resolution}`;
    case 'decided':
      return `case ${entry.caseNo} decided by ${entry.by}, ${entry.approvedBy}: ${entry.decision.action}`;
    case 'debit_adopted':
      return `the debit of attempt ${entry.attemptNo} is to be given back`;
    case 'ask_requested':
      return `${entry.by} wants the channel asked again`;
    default:
      return assertNever(entry);
  }
}

function routed({ places, rejected }: Extract<Entry, { kind: 'routed' }>['route']): string {
  const plan = places.map(({ channelId }) => channelId).join(', then ') || 'no channel';
  const not = rejected.map(({ channelId, reason }) => `${channelId}: ${reason}`).join('; ');
  return `routed to ${plan}${not === '' ? '' : ` (not ${not})`}`;
}

function answered(answer: Answer): string {
  switch (answer.kind) {
    case 'succeeded':
      return `succeeded, ${answer.channelRef}`;
    case 'declined':
      return `declined: ${answer.code} (${answer.channelCode} ${answer.message}), ${answer.scope}`;
    case 'unknown':
      return `unknown: ${answer.why} (${answer.detail})`;
    case 'not_executed':
      return `not executed: ${answer.proof}`;
    case 'mismatch':
      return `mismatch: ${answer.field} is ${answer.theirs}, ours is ${answer.ours}`;
    case 'refused':
      return `refused: ${answer.detail}`;
    default:
      return answer.kind.replace('_', ' ');
  }
}
