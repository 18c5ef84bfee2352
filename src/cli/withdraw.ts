import type { Command } from 'commander';
import { taskStatuses } from '../engine/orders-state.js';
import { RecoupError } from '../errors.js';
import { storyView } from '../http/views.js';
import { withdrawalView } from '../http/withdrawal-wire.js';
import { embed, type WithdrawalStory, type WithdrawRequest } from '../index.js';
import type { WithdrawalRecord } from '../intake/withdrawal.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import {
  asAmount,
  asTaskId,
  asWhole,
  command,
  group,
  run,
  type CommonOptions,
  type Result,
} from './command.js';
import { badUsage } from './failure.js';
import { withServices } from './session.js';
import { outcomeResult, startTask, waitOption, type StartOptions } from './start-task.js';
import { storyLines } from './story.js';
import { asStatus, taskPage, type PageOptions } from './task-page.js';

interface WithdrawOptions extends StartOptions {
  readonly member: string;
  readonly amount: AmountMinor;
  readonly bank: string;
  readonly token: string;
  readonly last4: string;
  readonly key: string;
  readonly accountService?: string;
  readonly serviceToken?: string;
  readonly serviceLast4?: string;
}

export function withdrawCommand(): Command {
  return command('withdraw', "pay out of a member's balance")
    .requiredOption('--member <id>', 'whose balance')
    .requiredOption('--amount <yuan>', 'such as 500.00', asAmount)
    .requiredOption('--bank <code>', 'where it is paid to')
    .requiredOption('--token <token>', 'the account there: a token, never its number')
    .requiredOption('--last4 <digits>', 'the last four digits of the account')
    .requiredOption('--key <key>', 'yours, new for each withdrawal you mean; again: the same one')
    .option('--account-service <id>', 'the remote service that keeps the balance')
    .option('--service-token <token>', 'the account at that service')
    .option('--service-last4 <digits>', 'and its last four digits')
    .addOption(waitOption())
    .action(
      run<WithdrawOptions>(async (options) => {
        const request = requestOf(options);
        return withdrawalOutcome(
          await startTask(options, (recoup, waiting) => recoup.withdrawals.start(request, waiting)),
        );
      }),
    );
}

function requestOf(options: WithdrawOptions): WithdrawRequest {
  const { member, amount, bank, token, last4, key } = options;
  const request: WithdrawRequest = {
    memberId: member,
    amountMinor: amount,
    account: { token, bankCode: bank, last4 },
    key,
  };
  const { accountService: id, serviceToken, serviceLast4 } = options;
  if (id === undefined && serviceToken === undefined && serviceLast4 === undefined) return request;
  if (id === undefined || serviceToken === undefined || serviceLast4 === undefined) {
    throw badUsage(
      '--account-service, --service-token and --service-last4 belong together.',
      'Say all three, or none.',
    );
  }
  return { ...request, accountService: { id, token: serviceToken, last4: serviceLast4 } };
}

export const withdrawalOutcome = (withdrawal: WithdrawalRecord): Result =>
  outcomeResult(withdrawal, outcomeLine(withdrawal), { withdrawal: withdrawalView(withdrawal) });

function outcomeLine(withdrawal: WithdrawalRecord): string {
  const { status, failureCode, failureDetail, channelId, orderNo } = withdrawal;
  const amount = `${formatDecimalAmount(withdrawal.amountMinor)} ${withdrawal.currency}`;
  switch (status) {
    case 'succeeded':
      return `succeeded: ${amount} paid out by ${channelId} under ${orderNo}`;
    case 'failed':
      return `failed: ${failureCode} (${failureDetail}); ${amount} is not paid out`;
    case 'needs_review':
      return `needs review: what became of ${amount} is not known; see \`recoup cases\``;
    default:
      return `processing: what becomes of ${amount} is not known yet; see \`recoup show\``;
  }
}

interface ListOptions extends PageOptions {
  readonly member?: string;
}

export function withdrawalsCommand(): Command {
  return group('withdrawals', 'balances that are paid out', listCommand(), showCommand());
}

function listCommand(): Command {
  return command('list', 'withdrawals, newest first')
    .option('--status <status>', taskStatuses.join(', '), asStatus)
    .option('--member <id>', 'of one member')
    .option('--before <id>', 'older than this withdrawal: the next page', asTaskId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ flows }) => {
          const { status, member: memberId, before, limit } = options;
          const found = await flows.withdrawals.list({ status, memberId, before, limit });
          return taskPage('withdrawals', found, withdrawalView, limit, [
            ['member', (one) => one.memberId],
            ['amount', (one) => formatDecimalAmount(one.amountMinor)],
            ['status', (one) => one.status],
            ['by / because', (one) => one.channelId ?? one.failureCode ?? ''],
          ]);
        }),
      ),
    );
}

function showCommand(): Command {
  return command('show', 'a withdrawal, its orders, and its log as a story')
    .argument('<id>', 'as printed by `withdraw` or `withdrawals list`', asTaskId)
    .action(
      run<CommonOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const story = await embed(services, 'cli').withdrawals.show(id);
          if (story === null) throw new RecoupError('withdrawal_unknown');
          return { json: withdrawalJson(story), text: withdrawalText(story) };
        }),
      ),
    );
}

export const withdrawalJson = (story: WithdrawalStory): Readonly<Record<string, unknown>> => ({
  withdrawal: withdrawalView(story.withdrawal),
  ...storyView(story),
});

export function withdrawalText(story: WithdrawalStory): string {
  const { withdrawal } = story;
  const { memberId, bankCode, accountLast4, accountService } = withdrawal;
  const from = accountService === null ? 'a balance of ours' : `an account at ${accountService}`;
  return [
    `withdrawal ${withdrawal.id}`,
    outcomeLine(withdrawal),
    `member ${memberId}, from ${from} to ${bankCode} …${accountLast4}`,
    ...storyLines(story),
  ].join('\n');
}
