import type { Command } from 'commander';
import { assertNever } from '../assert.js';
import type { Entry } from '../engine/entries.js';
import { operationOf } from '../engine/order.js';
import type { Answer } from '../engine/reply.js';
import { RecoupError } from '../errors.js';
import type { Services } from '../composition-root.js';
import { callView } from '../http/channel-routes.js';
import { attemptView, caseView, deductionView, logEntryView } from '../http/views.js';
import { embed, type DeductionStory } from '../index.js';
import { taskId } from '../ids.js';
import { formatDecimalAmount } from '../money.js';
import { asDeductionId, command, run, type CommonOptions } from './command.js';
import { outcomeLine } from './deduct.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface ShowOptions extends CommonOptions {
  readonly calls?: boolean;
}

const callsMax = 1_000;

export function showCommand(): Command {
  return command('show', 'a deduction, its attempts, and its log as a story')
    .argument('<id>', 'as printed by `deduct` or `list`', asDeductionId)
    .option('--calls', 'with the call journal: what passed between us and the channels, masked')
    .action(
      run<ShowOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const story = await embed(services, 'cli').show(id);
          if (story === null) throw new RecoupError('deduction_unknown');
          const calls =
            options.calls === true ? await services.calls.ofTask(taskId(id), callsMax) : null;
          return {
            json: {
              deduction: deductionView(story.deduction),
              attempts: story.attempts.map(attemptView),
              cases: story.cases.map(caseView),
              log: story.log.map(logEntryView),
              ...(calls !== null && { calls: calls.map(callView) }),
            },
            text: [storyText(story), ...(calls === null ? [] : ['', callsText(calls)])].join('\n'),
          };
        }),
      ),
    );
}

function callsText(calls: Awaited<ReturnType<Services['calls']['ofTask']>>): string {
  const rows = calls.map((one) => [
    one.startedAt.toISOString().slice(11, 23),
    one.operation,
    one.orderNo,
    `${one.durationMs} ms`,
    one.httpStatus === null ? '' : String(one.httpStatus),
    `${one.verdict} ${one.detail}`.trim(),
    one.received === null ? '' : JSON.stringify(one.received),
  ]);
  return table(['at (UTC)', 'call', 'order number', '', 'HTTP', 'verdict', 'received'], rows);
}

function storyText({ deduction, attempts, cases, log }: DeductionStory): string {
  const { repaymentId, borrowerId, bankCode, accountLast4, source, agentName } = deduction;
  const by = agentName === null ? '' : ` by ${agentName}: ${deduction.agentReason}`;
  const attemptRows = attempts.map((one) => [
    String(one.attemptNo),
    one.channelId,
    one.orderNo,
    one.status,
    one.declineCode ?? one.proof ?? one.unknownWhy ?? one.channelRef ?? '',
  ]);
  const caseLines = cases.map(
    (one) =>
      `case ${one.caseNo}: ${one.reason}, ${one.closedAt === null ? 'open' : 'closed'}; ` +
      one.evidence,
  );
  return [
    `deduction ${deduction.id}`,
    outcomeLine(deduction),
    `repayment ${repaymentId}, borrower ${borrowerId}, ${bankCode} …${accountLast4}`,
    `asked for by ${source}${by}`,
    '',
    table(['attempt', 'channel', 'order number', 'status', ''], attemptRows),
    ...caseLines,
    '',
    ...timeline(log),
  ].join('\n');
}

function timeline(log: DeductionStory['log']): string[] {
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
