/** What the commands that start a task have in common. */
import { Option } from 'commander';
import type { TaskStatus } from '../engine/orders-state.js';
import type { TaskId } from '../ids.js';
import { embed, type Recoup, type WaitOptions } from '../index.js';
import { asWhole, type CommonOptions, type Result } from './command.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { withServices } from './session.js';

export interface StartOptions extends CommonOptions {
  readonly wait?: number;
}

export const waitOption = (): Option =>
  new Option('--wait <seconds>', 'how long to wait for the outcome').argParser(asWhole(0, 86_400));

/** The task as it stands when the wait is over and no run of it is under way here. */
export async function startTask<R>(
  options: StartOptions,
  start: (recoup: Recoup, waiting: WaitOptions) => Promise<R>,
): Promise<R> {
  const { wait } = options;
  return await withServices(options, async (services) => {
    const recoup = embed(services, 'cli');
    const task = await start(recoup, wait === undefined ? {} : { waitMs: wait * 1_000 });
    // On a second Ctrl-C nothing is lost either: the task is in the in-flight log.
    await recoup.settle();
    return task;
  });
}

/** What a task came to. An outcome that is not known is neither end. */
export function outcomeResult(
  { id, status }: { readonly id: TaskId; readonly status: TaskStatus },
  line: string,
  json: Result['json'],
): Result {
  return { json, text: `${line}\n${id}`, exitCode: endCodes[status] ?? exitCodes.open };
}

const endCodes: Partial<Record<TaskStatus, ExitCode>> = {
  succeeded: exitCodes.done,
  failed: exitCodes.failed,
};
