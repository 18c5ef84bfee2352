import type { Command } from 'commander';
import { deductionView } from '../http/views.js';
import { embed, type DeductRequest } from '../index.js';
import type { DeductionRecord } from '../intake/records.js';
import { formatDecimalAmount, type AmountMinor } from '../money.js';
import { asAmount, asWhole, command, run, type CommonOptions, type Result } from './command.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { badUsage } from './failure.js';
import { withServices } from './session.js';

interface DeductOptions extends CommonOptions {
  readonly repayment: string;
  readonly key: string;
  readonly amount?: AmountMinor;
  readonly source: string;
  readonly agent?: string;
  readonly reason?: string;
  readonly wait?: number;
}

const secondsMax = 86_400;

export function deductCommand(): Command {
  return command('deduct', 'collect from one repayment')
    .requiredOption('--repayment <id>', 'the repayment to collect')
    .requiredOption('--key <key>', 'yours, new for each deduction you mean; again: the same one')
    .option('--amount <yuan>', 'such as 1280.50; all that is outstanding unless given', asAmount)
    .option('--source <source>', '`app`, or `agent` for a deduction by hand', 'app')
    .option('--agent <name>', 'who asks by hand')
    .option('--reason <text>', 'why, 4 to 500 characters')
    .option('--wait <seconds>', 'how long to wait for the outcome', asWhole(0, secondsMax))
    .action(
      run<DeductOptions>(async (options) => {
        const request = requestOf(options);
        const { wait } = options;
        return await withServices(options, async (services) => {
          const recoup = embed(services, 'cli');
          // On a second Ctrl-C nothing is lost either: the deduction is in the in-flight log.
          const waiting = wait === undefined ? {} : { waitMs: wait * 1_000 };
          const deduction = await recoup.deduct(request, waiting);
          await recoup.settle();
          return outcomeOf(deduction);
        });
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

export function outcomeOf(deduction: DeductionRecord): Result {
  return {
    json: { deduction: deductionView(deduction) },
    text: `${outcomeLine(deduction)}\n${deduction.id}`,
    exitCode: exitCodeOf(deduction),
  };
}

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

function exitCodeOf({ status }: DeductionRecord): ExitCode {
  if (status === 'succeeded') return exitCodes.done;
  return status === 'failed' ? exitCodes.failed : exitCodes.open;
}
