import type { Command } from 'commander';
import { RecoupError } from '../errors.js';
import type { Services } from '../composition/root.js';
import { callView } from '../http/channel-routes.js';
import { moneyBackView } from '../http/refund-wire.js';
import { deductionView, storyView } from '../http/views.js';
import { embed, type DeductionStory } from '../index.js';
import { taskId } from '../ids.js';
import { asTaskId, command, run, type CommonOptions, type Result } from './command.js';
import { outcomeLine } from './deduct.js';
import { refundLines, requestLines } from './refunds.js';
import { withServices } from './session.js';
import { storyLines } from './story.js';
import { table } from './table.js';
import { topUpJson, topUpText } from './top-up.js';
import { withdrawalJson, withdrawalText } from './withdraw.js';

interface ShowOptions extends CommonOptions {
  readonly calls?: boolean;
}

const callsMax = 1_000;
const refundsMax = 100;

export function showCommand(): Command {
  return command(
    'show',
    'a deduction, a withdrawal or a top-up, its orders, and its log as a story',
  )
    .argument('<id>', 'as printed by `deduct` or `list`', asTaskId)
    .option('--calls', 'with the call journal: what passed between us and the channels, masked')
    .action(
      run<ShowOptions>((options, [id = '']) =>
        withServices(options, async (services) => {
          const { json, text } = await storyOf(services, id);
          const calls =
            options.calls === true ? await services.calls.ofTask(taskId(id), callsMax) : null;
          return {
            json: { ...json, ...(calls !== null && { calls: calls.map(callView) }) },
            text: [text, ...(calls === null ? [] : ['', callsText(calls)])].join('\n'),
          };
        }),
      ),
    );
}

/** @throws RecoupError `deduction_unknown` where no task has this id. */
async function storyOf(services: Services, id: string): Promise<Result> {
  const recoup = embed(services, 'cli');
  const withdrawal = await recoup.withdrawals.show(id);
  if (withdrawal !== null)
    return { json: withdrawalJson(withdrawal), text: withdrawalText(withdrawal) };
  const topUp = await recoup.topUps.show(id);
  if (topUp !== null) return { json: topUpJson(topUp), text: topUpText(topUp) };
  const story = await recoup.show(id);
  if (story === null) throw new RecoupError('deduction_unknown');
  const [requests, refunds] = await Promise.all([
    services.cases.refundRequests.ofDeduction(story.deduction.id),
    services.refunds.list({ deductionId: story.deduction.id, limit: refundsMax }),
  ]);
  return {
    json: {
      deduction: deductionView(story.deduction),
      ...storyView(story),
      ...moneyBackView(requests, refunds),
    },
    text: storyText(story, [...requestLines(requests), ...refundLines(refunds)]),
  };
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

function storyText(story: DeductionStory, moneyBack: readonly string[]): string {
  const { deduction } = story;
  const { repaymentId, borrowerId, bankCode, accountLast4, source, agentName } = deduction;
  const by = agentName === null ? '' : ` by ${agentName}: ${deduction.agentReason}`;
  return [
    `deduction ${deduction.id}`,
    outcomeLine(deduction),
    `repayment ${repaymentId}, borrower ${borrowerId}, ${bankCode} …${accountLast4}`,
    `asked for by ${source}${by}`,
    ...moneyBack,
    ...storyLines(story),
  ].join('\n');
}
