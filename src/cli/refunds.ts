import type { Command } from 'commander';
import { taskStatuses } from '../engine/orders-state.js';
import { RecoupError } from '../errors.js';
import { attemptView, logEntryView } from '../http/views.js';
import type { TaskId } from '../ids.js';
import type { RefundRecord } from '../intake/records.js';
import { formatDecimalAmount } from '../money.js';
import { asTaskId, asWhole, command, group, run, type CommonOptions } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';
import { asStatus, taskPage, type PageOptions } from './task-page.js';

interface ListOptions extends PageOptions {
  readonly deduction?: TaskId;
  readonly topUp?: TaskId;
}

/** A refund is started by a case (`recoup cases propose --refund`); here it is only read. */
export function refundsCommand(): Command {
  return group(
    'refunds',
    'money that goes back to borrowers and customers',
    listCommand(),
    showCommand(),
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
