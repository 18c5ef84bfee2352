import type { Command } from 'commander';
import type { Services } from '../composition/root.js';
import { asWhole, command, print, run, tell, type CommonOptions } from './command.js';
import { exposeMetrics } from './expose-metrics.js';
import { exitCodes } from './exit-codes.js';
import { openServices } from './session.js';
import { stopSignal, within } from './shutdown.js';

interface WorkerOptions extends CommonOptions {
  readonly id?: string;
  readonly drain: number;
}

export function workerCommand(): Command {
  return command('worker', 'collect batches, ask channels about outcomes, resume what was left')
    .option('--id <name>', 'names this worker in the log')
    .option('--drain <seconds>', 'how long to finish what is under way', asWhole(0, 600), 30)
    .action(
      run<WorkerOptions>(async (options) => {
        const { id } = options;
        const named = id === undefined ? {} : { name: id };
        const services = await openServices({ ...options, ...named, stays: true });
        const metrics = await exposeMetrics(services);
        services.startWork();
        const ready = {
          ready: true,
          instance_id: services.instanceId,
          pid: process.pid,
          ...metrics,
        };
        if (options.json === true) await print(JSON.stringify(ready));
        else tell(`worker ${services.instanceId} is ready`);
        const signal = await stopSignal();
        const drained = await drain(services, options.drain);
        return {
          json: { stopped: true, signal, drained },
          text: drained ? 'stopped' : 'stopped; what was under way is resumed by others',
          exitCode: drained ? exitCodes.done : exitCodes.open,
        };
      }),
    );
}

/** Takes nothing new and ends what is under way. What is not done in time is resumed by others. */
export async function drain(services: Services, seconds: number): Promise<boolean> {
  return await within(seconds * 1_000, services.close());
}
