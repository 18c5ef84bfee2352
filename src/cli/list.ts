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
  readonly borrower?: string;
  readonly order?: string;
  readonly from?: Date;
  readonly until?: Date;
}

export function listCommand(): Command {
  return command('list', 'deductions, newest first')
    .option('--status <status>', taskStatuses.join(', '), asStatus)
    .option('--repayment <id>', 'of one repayment', asRepaymentId)
    .option('--batch <id>', 'of one batch', asTaskId)
    .option('--borrower <id>', 'of one borrower')
    .option('--order <number>', 'the one that placed this order at a channel')
    .option('--from <time>', 'accepted then or later: a date (UTC) or a time with its zone', asTime)
    .option('--until <time>', 'accepted before then', asTime)
    .option('--before <id>', 'older than this deduction: the next page', asTaskId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ deductions }) => {
          const { status, from, until, before, limit } = options;
          const found = await deductions.list({
            status,
            from,
            until,
            before,
            limit,
            repaymentId: options.repayment,
            batchId: options.batch,
            borrowerId: options.borrower,
            orderNo: options.order,
          });
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

/** A time without its zone would be the machine's own: it is refused. */
function asTime(text: string): Date {
  const whole = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text;
  const time = new Date(whole);
  if (/(Z|[+-]\d{2}:\d{2})$/.test(whole) && !Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError('A date, or a time such as 2026-11-22T08:00:00Z.');
}
