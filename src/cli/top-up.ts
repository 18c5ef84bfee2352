import type { Command } from 'commander';
import { taskStatuses } from '../engine/orders-state.js';
import { topUpStages, type TopUpStage } from '../engine/top-up.js';
import { RecoupError } from '../errors.js';
import { topUpView } from '../http/top-up-wire.js';
import { storyView } from '../http/views.js';
import { embed, type TopUpStartRequest, type TopUpStory } from '../index.js';
import type { TopUpRecord } from '../intake/top-up.js';
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
import { withServices } from './session.js';
import { outcomeResult, startTask, waitOption, type StartOptions } from './start-task.js';
import { storyLines } from './story.js';
import { asStatus, oneOf, taskPage, type PageOptions } from './task-page.js';

interface TopUpOptions extends StartOptions {
  readonly customer: string;
  readonly amount: AmountMinor;
  readonly rule?: string;
  readonly credit?: AmountMinor;
  readonly bank: string;
  readonly token: string;
  readonly last4: string;
  readonly cardToken: string;
  readonly cardLast4: string;
  readonly cards?: string;
  readonly key: string;
}

export function topUpCommand(): Command {
  return command('top-up', 'put on a stored-value card what a customer pays')
    .requiredOption('--customer <id>', 'whose card')
    .requiredOption('--amount <yuan>', 'what is paid, such as 1000.00', asAmount)
    .option('--rule <name>', 'the first that fits unless given')
    .option('--credit <yuan>', 'what the customer was told the card gets', asAmount)
    .requiredOption('--bank <code>', 'where it is paid from')
    .requiredOption('--token <token>', 'the account there: a token, never its number')
    .requiredOption('--last4 <digits>', 'the last four digits of the account')
    .requiredOption('--card-token <token>', 'the card: a token, never its number')
    .requiredOption('--card-last4 <digits>', 'the last four digits of the card')
    .option('--cards <id>', 'the card system; the one there is unless given')
    .requiredOption('--key <key>', 'yours, new for each top-up you mean; again: the same one')
    .addOption(waitOption())
    .action(
      run<TopUpOptions>(async (options) => {
        const request = requestOf(options);
        return topUpOutcome(
          await startTask(options, (recoup, waiting) => recoup.topUps.start(request, waiting)),
        );
      }),
    );
}

function requestOf(options: TopUpOptions): TopUpStartRequest {
  const { customer, amount, bank, token, last4, key, rule, credit, cards } = options;
  return {
    customerId: customer,
    amountMinor: amount,
    payer: { token, bankCode: bank, last4 },
    card: { token: options.cardToken, last4: options.cardLast4 },
    key,
    ...(rule !== undefined && { rule }),
    ...(credit !== undefined && { expectedCreditMinor: credit }),
    ...(cards !== undefined && { cards }),
  };
}

export const topUpOutcome = (topUp: TopUpRecord): Result =>
  outcomeResult(topUp, outcomeLine(topUp), { top_up: topUpView(topUp) });

function outcomeLine(topUp: TopUpRecord): string {
  const { status, stage, failureCode, failureDetail, paidAt, refundedAt } = topUp;
  const paid = `${formatDecimalAmount(topUp.amountMinor)} ${topUp.currency}`;
  const got = `${formatDecimalAmount(topUp.creditMinor)} ${topUp.currency}`;
  switch (status) {
    case 'succeeded':
      return `succeeded: ${paid} paid, ${got} credited by rule ${topUp.rule}`;
    case 'failed': {
      const back = paidAt === null ? 'nothing was paid' : `${paid} was paid`;
      const gone = refundedAt === null ? '' : ' and has gone back';
      return `failed: ${failureCode} (${failureDetail}); ${back}${gone}`;
    }
    case 'needs_review':
      return `needs review (${stage}): only a person can decide; see \`recoup cases\``;
    default:
      return `processing (${stage}): ${paid} for ${got}; see \`recoup show\``;
  }
}

interface ListOptions extends PageOptions {
  readonly stage?: TopUpStage;
  readonly customer?: string;
}

export function topUpsCommand(): Command {
  return group(
    'top-ups',
    'stored-value cards that customers pay for',
    listCommand(),
    showCommand(),
  );
}

function listCommand(): Command {
  return command('list', 'top-ups, newest first')
    .option('--status <status>', taskStatuses.join(', '), asStatus)
    .option('--stage <stage>', topUpStages.join(', '), asStage)
    .option('--customer <id>', 'of one customer')
    .option('--before <id>', 'older than this top-up: the next page', asTaskId)
    .option('--limit <n>', 'at most so many', asWhole(1, 1_000), 50)
    .action(
      run<ListOptions>((options) =>
        withServices(options, async ({ flows }) => {
          const { status, stage, customer: customerId, before, limit } = options;
          const found = await flows.topUps.list({ status, stage, customerId, before, limit });
          return taskPage('top_ups', found, topUpView, limit, [
            ['customer', (one) => one.customerId],
            ['pays', (one) => formatDecimalAmount(one.amountMinor)],
            ['gets', (one) => formatDecimalAmount(one.creditMinor)],
            ['status', (one) => one.status],
            ['stage', (one) => one.stage],
            ['by / because', (one) => one.channelId ?? one.failureCode ?? ''],
          ]);
        }),
      ),
    );
}

function showCommand(): Command {
  return command('show', 'a top-up, its orders, and its log as a story')
    .argument('<id>', 'as printed by `top-up` or `top-ups list`', asTaskId)
    .action(
      run<CommonOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const story = await embed(services, 'cli').topUps.show(id);
          if (story === null) throw new RecoupError('top_up_unknown');
          return { json: topUpJson(story), text: topUpText(story) };
        }),
      ),
    );
}

export const topUpJson = (story: TopUpStory): Readonly<Record<string, unknown>> => ({
  top_up: topUpView(story.topUp),
  ...storyView(story),
});

export function topUpText(story: TopUpStory): string {
  const { topUp } = story;
  const { customerId, bankCode, payerLast4, cards, cardLast4, creditUnknownSince } = topUp;
  const unknown =
    creditUnknownSince === null
      ? []
      : [
          `the credit was not confirmed at ${creditUnknownSince.toISOString()}; it counted as credited`,
        ];
  return [
    `top-up ${topUp.id}`,
    outcomeLine(topUp),
    `customer ${customerId}, from ${bankCode} …${payerLast4} to the card …${cardLast4} at ${cards}`,
    ...unknown,
    ...storyLines(story),
  ].join('\n');
}

const asStage = (text: string): TopUpStage => oneOf(topUpStages, text);
