import { InvalidArgumentError, type Command } from 'commander';
import type { TaskStatus } from '../engine/orders-state.js';
import { deductionView } from '../http/views.js';
import { isRepaymentId, type RepaymentId, type TaskId } from '../ids.js';
import { formatDecimalAmount } from '../money.js';
import { asDeductionId, asWhole, command, run, type CommonOptions } from './command.js';
import { withServices } from './session.js';
import { table } from './table.js';

interface ListOptions extends CommonOptions {
  readonly status?: TaskStatus;
  readonly repayment?: RepaymentId;
  readonly batch?: TaskId;
  readonly before?: TaskId;
  readonly limit: number;
}

const statuses = ['processing', 'needs_review', 'succeeded', 'failed'] as const;

export function listCommand(): Command {
  return command('list', 'deductions, newest first')
    .option('--status <status>', statuses.join(', '), asStatus)
    .option('--repayment <id>', 'of one repayment', asRepaymentId)
    .option('--batch <id>', 'of one batch', asDeductionId)
    .option('--before <id>', 'older than this deduction: the next page', asDeductionId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ deductions }) => {
          const { status, repayment: repaymentId, batch: batchId, before, limit } = options;
          const found = await deductions.list({ status, repaymentId, batchId, before, limit });
          const rows = found.map((one) => [
            one.id,
            one.createdAt.toISOString().slice(0, 19),
            one.repaymentId,
            formatDecimalAmount(one.amountMinor),
            one.status,
            one.channelId ?? one.failureCode ?? '',
          ]);
          const head = ['id', 'accepted (UTC)', 'repayment', 'amount', 'status', 'by / because'];
          return {
            json: {
              deductions: found.map(deductionView),
              next_before: found.length === limit ? (found.at(-1)?.id ?? null) : null,
            },
            text: found.length === 0 ? 'none' : table(head, rows),
          };
        }),
      ),
    );
}

function asStatus(text: string): TaskStatus {
  const status = statuses.find((one) => one === text);
  if (status === undefined) throw new InvalidArgumentError(`One of ${statuses.join(', ')}.`);
  return status;
}

function asRepaymentId(text: string): RepaymentId {
  if (!isRepaymentId(text)) throw new InvalidArgumentError('1 to 64 letters, digits, . _ -');
  return text;
}
