import { InvalidArgumentError, type Command } from 'commander';
import { taskStatuses } from '../engine/orders-state.js';
import { deductionView } from '../http/views.js';
import { isRepaymentId, type RepaymentId, type TaskId } from '../ids.js';
import { formatDecimalAmount } from '../money.js';
import { asTaskId, asWhole, command, run } from './command.js';
import { withServices } from './session.js';
import { asStatus, taskPage, type PageOptions } from './task-page.js';

interface ListOptions extends PageOptions {
  readonly repayment?: RepaymentId;
  readonly batch?: TaskId;
}

export function listCommand(): Command {
  return command('list', 'deductions, newest first')
    .option('--status <status>', taskStatuses.join(', '), asStatus)
    .option('--repayment <id>', 'of one repayment', asRepaymentId)
    .option('--batch <id>', 'of one batch', asTaskId)
    .option('--before <id>', 'older than this deduction: the next page', asTaskId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ deductions }) => {
          const { status, repayment: repaymentId, batch: batchId, before, limit } = options;
          const found = await deductions.list({ status, repaymentId, batchId, before, limit });
          return taskPage('deductions', found, deductionView, limit, [
            ['repayment', (one) => one.repaymentId],
            ['amount', (one) => formatDecimalAmount(one.amountMinor)],
            ['status', (one) => one.status],
            ['by / because', (one) => one.channelId ?? one.failureCode ?? ''],
          ]);
        }),
      ),
    );
}

function asRepaymentId(text: string): RepaymentId {
  if (!isRepaymentId(text)) throw new InvalidArgumentError('1 to 64 letters, digits, . _ -');
  return text;
}
