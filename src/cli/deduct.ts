import type { Command } from 'commander';
import { deductionView } from '../http/views.js';
import type { DeductRequest } from '../index.js';
import type { DeductionRecord } from '../intake/records.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import { asAmount, command, run, type Result } from './command.js';
import { badUsage } from './failure.js';
import { outcomeResult, startTask, waitOption, type StartOptions } from './start-task.js';

interface DeductOptions extends StartOptions {
  readonly repayment: string;
  readonly key: string;
  readonly amount?: AmountMinor;
  readonly source: string;
  readonly agent?: string;
  readonly reason?: string;
}

export function deductCommand(): Command {
  return command('deduct', 'collect from one repayment')
    .requiredOption('--repayment <id>', 'the repayment to collect')
    .requiredOption('--key <key>', 'yours, new for each deduction you mean; again: the same one')
    .option('--amount <yuan>', 'such as 1280.50; all that is outstanding unless given', asAmount)
    .option('--source <source>', '`app`, or `agent` for a deduction by hand', 'app')
    .option('--agent <name>', 'who asks by hand')
    .option('--reason <text>', 'why, 4 to 500 characters')
    .addOption(waitOption())
    .action(
      run<DeductOptions>(async (options) => {
        const request = requestOf(options);
        return deductionOutcome(
          await startTask(options, (recoup, waiting) => recoup.deduct(request, waiting)),
        );
      }),
    );
}

function requestOf({ repayment, key, amount, source, agent, reason }: DeductOptions) {
  const request: DeductRequest = {
    repaymentId: repayment,
    key,
    ...(amount === undefined ? {} : { amountMinor: amount }),
  };
  if (source === 'app') {
    if (agent === undefined && reason === undefined) return request;
    throw badUsage('--agent and --reason belong to --source agent.', 'Leave them, or say so.');
  }
  if (source !== 'agent') throw badUsage(`There is no source ${source}.`, 'Use app or agent.');
  if (agent === undefined) throw badUsage('--source agent needs --agent.', 'Say who asks.');
  return { ...request, agent: { name: agent, reason: reason ?? '' } };
}

export const deductionOutcome = (deduction: DeductionRecord): Result =>
  outcomeResult(deduction, outcomeLine(deduction), { deduction: deductionView(deduction) });

export function outcomeLine(deduction: DeductionRecord): string {
  const { status, failureCode, failureDetail, channelId, orderNo } = deduction;
  const amount = `${formatDecimalAmount(deduction.amountMinor)} ${deduction.currency}`;
  switch (status) {
    case 'succeeded':
      return `succeeded: ${amount} collected by ${channelId} under ${orderNo}`;
    case 'failed':
      return `failed: ${failureCode} (${failureDetail}); no money has moved`;
    case 'needs_review':
      return `needs review: what became of ${amount} is not known; see \`recoup cases\``;
    default:
      return `processing: what becomes of ${amount} is not known yet; see \`recoup show\``;
  }
}
