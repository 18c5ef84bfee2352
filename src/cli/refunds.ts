import type { Command } from 'commander';
import { taskStatuses } from '../engine/orders-state.js';
import { RecoupError } from '../errors.js';
import type { RefundRequestRecord } from '../cases/refund-requests.js';
import { askedOf, refundBody, refundRequestView } from '../http/refund-wire.js';
import { idempotencyKey } from '../http/request-headers.js';
import { attemptView, logEntryView } from '../http/views.js';
import type { TaskId } from '../ids.js';
import type { RefundRecord } from '../intake/records.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import { asAmount, asTaskId, asWhole, command, group, run, type CommonOptions } from './command.js';
import { keyVariable, operator, parsed } from './operator.js';
import { withServices } from './session.js';
import { table } from './table.js';
import { asStatus, taskPage, type PageOptions } from './task-page.js';

interface ListOptions extends PageOptions {
  readonly deduction?: TaskId;
  readonly topUp?: TaskId;
}

/** Asked for here, or proposed in a case (`recoup cases propose --refund`); approved by another in its case. */
export function refundsCommand(): Command {
  return group(
    'refunds',
    'money that goes back to borrowers and customers',
    listCommand(),
    showCommand(),
    requestCommand(),
  );
}

function listCommand(): Command {
  return command('list', 'refunds, newest first')
    .option('--status <status>', taskStatuses.join(', '), asStatus)
    .option('--deduction <id>', 'of one deduction', asTaskId)
    .option('--top-up <id>', 'of one top-up', asTaskId)
    .option('--before <id>', 'older than this refund: the next page', asTaskId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ refunds }) => {
          const { status, deduction: deductionId, topUp: topUpId, before, limit } = options;
          const found = await refunds.list({ status, deductionId, topUpId, before, limit });
          return taskPage('refunds', found, (one) => one, limit, [
            ['of', takenBy],
            ['amount', (one) => formatDecimalAmount(one.amountMinor)],
            ['from', (one) => one.takenFrom],
            ['status', (one) => one.status],
            ['channel', (one) => one.channelId],
          ]);
        }),
      ),
    );
}

interface RequestOptions extends CommonOptions {
  readonly key: string;
  readonly amount?: AmountMinor;
  readonly reason: string;
}

function requestCommand(): Command {
  return command('request', `ask that a credited deduction be given back; who asks: ${keyVariable}`)
    .argument('<deduction>', 'as printed by `deduct` or `list`', asTaskId)
    .requiredOption('--key <key>', 'yours, new for each refund you mean; again: the same request')
    .requiredOption('--reason <text>', 'why, 4 to 500 characters')
    .option('--amount <yuan>', 'so much of it; all that is left unless given', asAmount)
    .action(
      run<RequestOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const by = await operator(services);
          const { amount, reason, key } = options;
          const given = amount === undefined ? {} : { amount_minor: Number(amount) };
          const body = parsed(refundBody, { ...given, reason });
          const asked = askedOf(id, body, idempotencyKey(key, by.keyId));
          const { request, repeated } = await services.cases.refundRequests.request(asked, by);
          return {
            json: { request: refundRequestView(request), repeated },
            text: [
              ...requestLines([request]),
              ...(request.closedAt === null
                ? [`another person decides: \`recoup cases show ${request.caseId}\``]
                : []),
            ].join('\n'),
          };
        }),
      ),
    );
}

export const requestLines = (requests: readonly RefundRequestRecord[]): readonly string[] =>
  requests.map(({ caseId, amountMinor, requestedBy, reason, resolution }) =>
    [
      `${caseId}: refund of ${formatDecimalAmount(amountMinor)} requested by ${requestedBy}`,
      `(${reason}), ${resolution ?? 'not decided yet'}`,
    ].join(' '),
  );

export const refundLines = (refunds: readonly RefundRecord[]): readonly string[] =>
  refunds.map(
    ({ id, amountMinor, takenFrom, status }) =>
      `refund ${id}: ${formatDecimalAmount(amountMinor)} from ${takenFrom}, ${status}`,
  );

function showCommand(): Command {
  return command('show', 'a refund, its orders and its log')
    .argument('<id>', 'as printed by `refunds list`', asTaskId)
    .action(
      run<CommonOptions>((options, [id = '']) =>
        withServices(options, async ({ refunds, deductions }) => {
          const task = id as TaskId;
          const refund = await refunds.find(task);
          if (refund === null) throw new RecoupError('refund_unknown');
          const [attempts, log] = await Promise.all([
            deductions.attempts(task),
            deductions.log(task),
          ]);
          const rows = attempts.map((one) => [
            String(one.attemptNo),
            one.orderNo,
            one.status,
            one.declineCode ?? one.proof ?? one.unknownWhy ?? one.channelRef ?? '',
          ]);
          const lines = log.map(
            ({ entry }) => `${new Date(entry.atMs).toISOString()} ${entry.kind}`,
          );
          return {
            json: {
              refund,
              attempts: attempts.map(attemptView),
              log: log.map(logEntryView),
            },
            text: [
              ...describe(refund),
              '',
              table(['order', 'order number', 'status', ''], rows),
              '',
              ...lines,
            ].join('\n'),
          };
        }),
      ),
    );
}

function describe(refund: RefundRecord): readonly string[] {
  const { status, failureCode, failureDetail, requestedBy, approvedBy } = refund;
  const why = failureCode === null ? '' : `: ${failureCode} (${failureDetail})`;
  return [
    `refund ${refund.id}: ${status}${why}`,
    `${formatDecimalAmount(refund.amountMinor)} ${refund.currency} of ${refund.captureOrderNo}, ` +
      `taken from ${refund.takenFrom}, by ${refund.channelId}`,
    takenBy(refund),
    `${refund.reason} (${requestedBy}, approved by ${approvedBy})`,
  ];
}

const takenBy = ({ deductionId, topUpId }: RefundRecord): string =>
  topUpId === null ? `deduction ${deductionId}` : `top-up ${topUpId}`;
