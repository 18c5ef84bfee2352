import { InvalidArgumentError, type Command } from 'commander';
import type { TaskStatus } from '../engine/orders-state.js';
import { RecoupError } from '../errors.js';
import { attemptView, caseView, logEntryView } from '../http/views.js';
import { withdrawalView } from '../http/withdrawal-wire.js';
import { embed, type WithdrawalStory, type WithdrawRequest } from '../index.js';
import type { TaskId } from '../ids.js';
import type { WithdrawalRecord } from '../intake/withdrawal.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import {
  asAmount,
  asDeductionId as asTaskId,
  asWhole,
  command,
  group,
  run,
  type CommonOptions,
  type Result,
} from './command.js';
import { exitCodes } from './exit-codes.js';
import { badUsage } from './failure.js';
import { withServices } from './session.js';
import { attemptTable, caseLine, timeline } from './story.js';
import { table } from './table.js';

interface WithdrawOptions extends CommonOptions {
  readonly member: string;
  readonly amount: AmountMinor;
  readonly bank: string;
  readonly token: string;
  readonly last4: string;
  readonly key: string;
  readonly accountService?: string;
  readonly serviceToken?: string;
  readonly serviceLast4?: string;
  readonly wait?: number;
}

const secondsMax = 86_400;

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
    .option('--wait <seconds>', 'how long to wait for the outcome', asWhole(0, secondsMax))
    .action(
      run<WithdrawOptions>(async (options) => {
        const request = requestOf(options);
        const { wait } = options;
        return await withServices(options, async (services) => {
          const recoup = embed(services, 'cli');
          const waiting = wait === undefined ? {} : { waitMs: wait * 1_000 };
          const withdrawal = await recoup.withdrawals.start(request, waiting);
          await recoup.settle();
          return withdrawalOutcome(withdrawal);
        });
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

export function withdrawalOutcome(withdrawal: WithdrawalRecord): Result {
  const { status } = withdrawal;
  const ended = status === 'succeeded' ? exitCodes.done : exitCodes.failed;
  return {
    json: { withdrawal: withdrawalView(withdrawal) },
    text: `${outcomeLine(withdrawal)}\n${withdrawal.id}`,
    exitCode: withdrawal.endedAt === null ? exitCodes.open : ended,
  };
}

export function outcomeLine(withdrawal: WithdrawalRecord): string {
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

interface ListOptions extends CommonOptions {
  readonly status?: TaskStatus;
  readonly member?: string;
  readonly before?: TaskId;
  readonly limit: number;
}

const statuses = ['processing', 'needs_review', 'succeeded', 'failed'] as const;

export function withdrawalsCommand(): Command {
  return group('withdrawals', 'balances that are paid out', listCommand(), showCommand());
}

function listCommand(): Command {
  return command('list', 'withdrawals, newest first')
    .option('--status <status>', statuses.join(', '), asStatus)
    .option('--member <id>', 'of one member')
    .option('--before <id>', 'older than this withdrawal: the next page', asTaskId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ flows }) => {
          const { status, member: memberId, before, limit } = options;
          const found = await flows.withdrawals.list({ status, memberId, before, limit });
          const rows = found.map((one) => [
            one.id,
            one.createdAt.toISOString().slice(0, 19),
            one.memberId,
            formatDecimalAmount(one.amountMinor),
            one.status,
            one.channelId ?? one.failureCode ?? '',
          ]);
          const head = ['id', 'accepted (UTC)', 'member', 'amount', 'status', 'by / because'];
          return {
            json: {
              withdrawals: found.map(withdrawalView),
              next_before: found.length === limit ? (found.at(-1)?.id ?? null) : null,
            },
            text: found.length === 0 ? 'none' : table(head, rows),
          };
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
  attempts: story.attempts.map(attemptView),
  cases: story.cases.map(caseView),
  log: story.log.map(logEntryView),
});

export function withdrawalText({ withdrawal, attempts, cases, log }: WithdrawalStory): string {
  const { memberId, bankCode, accountLast4, accountService } = withdrawal;
  const from = accountService === null ? 'a balance of ours' : `an account at ${accountService}`;
  return [
    `withdrawal ${withdrawal.id}`,
    outcomeLine(withdrawal),
    `member ${memberId}, from ${from} to ${bankCode} …${accountLast4}`,
    '',
    attemptTable(attempts),
    ...cases.map(caseLine),
    '',
    ...timeline(log),
  ].join('\n');
}

function asStatus(text: string): TaskStatus {
  const status = statuses.find((one) => one === text);
  if (status !== undefined) return status;
  throw new InvalidArgumentError(`One of ${statuses.join(', ')}.`);
}
