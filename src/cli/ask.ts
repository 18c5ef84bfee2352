import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { RecoupError } from '../errors.js';
import { asTaskId, command, run, type CommonOptions, type Result } from './command.js';
import { deductionOutcome } from './deduct.js';
import { withServices } from './session.js';
import { topUpOutcome } from './top-up.js';
import { withdrawalOutcome } from './withdraw.js';
import type { Services } from '../composition/root.js';
import type { TaskId } from '../ids.js';

interface AskOptions extends CommonOptions {
  readonly by: string;
}

export function askCommand(): Command {
  return command('ask', 'ask the channel about a task now; its poll schedule starts anew')
    .argument('<id>', 'the deduction, the withdrawal or the top-up', asTaskId)
    .option('--by <name>', 'who wants to know; kept for the audit', userInfo().username)
    .action(
      run<AskOptions>((options, [id = '']) =>
        withServices(options, (services) => ask(services, id as TaskId, options.by)),
      ),
    );
}

async function ask(services: Services, id: TaskId, by: string): Promise<Result> {
  const { access, clock, executor } = services;
  await resultOf(services, id);
  await access.audit({ actor: by, action: 'ask', subject: id, detail: '' }, clock.nowMs());
  const { outcome } = await executor.run(id, { kind: 'ask', by });
  if (outcome === 'busy') throw new RecoupError('busy', { task_id: id });
  return await resultOf(services, id);
}

/** @throws RecoupError `deduction_unknown` where no task has this id. */
async function resultOf({ deductions, flows }: Services, id: TaskId): Promise<Result> {
  const deduction = await deductions.find(id);
  if (deduction !== null) return deductionOutcome(deduction);
  const withdrawal = await flows.withdrawals.find(id);
  if (withdrawal !== null) return withdrawalOutcome(withdrawal);
  const topUp = await flows.topUps.find(id);
  if (topUp !== null) return topUpOutcome(topUp);
  throw new RecoupError('deduction_unknown');
}
