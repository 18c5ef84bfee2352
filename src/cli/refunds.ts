import { InvalidArgumentError, type Command } from 'commander';
import type { TaskStatus } from '../engine/orders-state.js';
import { RecoupError } from '../errors.js';
import { attemptView, logEntryView } from '../http/views.js';
import type { TaskId } from '../ids.js';
import type { RefundRecord } from '../intake/records.js';
import { formatDecimalAmount } from '../money.js';
import { asDeductionId, asWhole, command, group, run, type CommonOptions } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface ListOptions extends CommonOptions {
  readonly status?: TaskStatus;
  readonly deduction?: TaskId;
  readonly before?: TaskId;
  readonly limit: number;
}

const statuses = ['processing', 'needs_review', 'succeeded', 'failed'] as const;

/** A refund is started by a case (`recoup cases propose --refund`); here it is only read. */
export function refundsCommand(): Command {
  return group('refunds', 'money that goes back to borrowers', listCommand(), showCommand());
}

function listCommand(): Command {
  return command('list', 'refunds, newest first')
    .option('--status <status>', statuses.join(', '), asStatus)
    .option('--deduction <id>', 'of one deduction', asDeductionId)
    .option('--before <id>', 'older than this refund: the next page', asDeductionId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ refunds }) => {
          const { status, deduction: deductionId, before, limit } = options;
          const found = await refunds.list({ status, deductionId, before, limit });
          const rows = found.map((one) => [
            one.id,
            one.createdAt.toISOString().slice(0, 19),
            one.deductionId,
            formatDecimalAmount(one.amountMinor),
            one.takenFrom,
            one.status,
            one.channelId,
          ]);
          const head = ['id', 'accepted (UTC)', 'deduction', 'amount', 'from', 'status', 'channel'];
          return {
            json: {
              refunds: found,
              next_before: found.length === limit ? (found.at(-1)?.id ?? null) : null,
            },
            text: found.length === 0 ? 'none' : table(head, rows),
          };
        }),
      ),
    );
}

function showCommand(): Command {
  return command('show', 'a refund, its orders and its log')
    .argument('<id>', 'as printed by `refunds list`', asDeductionId)
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
    `deduction ${refund.deductionId}`,
    `${refund.reason} (${requestedBy}, approved by ${approvedBy})`,
  ];
}

function asStatus(text: string): TaskStatus {
  const status = statuses.find((one) => one === text);
  if (status === undefined) throw new InvalidArgumentError(`One of ${statuses.join(', ')}.`);
  return status;
}
