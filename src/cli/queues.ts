import type { Command } from 'commander';
import { command, run, type CommonOptions } from './command.js';
import { exitCodes } from './exit-codes.js';
import { CliError } from './failure.js';
import { withServices } from './session.js';
import { table } from './table.js';

export function queuesCommand(): Command {
  return command('queues', 'what waits to be woken up, by kind of task').action(
    run<CommonOptions>(queues),
  );
}

async function queues(options: CommonOptions) {
  return await withServices(options, async ({ workQueues }) => {
    const found = await workQueues.look();
    if (found === null) {
      const title = 'Redis does not answer: what waits there is not known.';
      throw new CliError('store_unavailable', title, 'Run `recoup doctor`.', exitCodes.unavailable);
    }
    const rows = found.map((one) => [one.kind, one.due, one.overflow, one.later].map(String));
    return { json: { queues: found }, text: table(['kind', 'due', 'overflow', 'later'], rows) };
  });
}
