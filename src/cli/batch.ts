import { basename } from 'node:path';
import type { Command } from 'commander';
import type { Services } from '../composition/root.js';
import { RecoupError } from '../errors.js';
import type { TaskId } from '../ids.js';
import type { LoadedBatch } from '../intake/batch-desk.js';
import { isDate } from '../intake/due-file.js';
import { batchReport } from './batch-report.js';
import { watchBatch } from './batch-watch.js';
import { asTaskId, command, group, run, tell, type CommonOptions, type Result } from './command.js';
import { badUsage } from './failure.js';
import { openServices, withServices } from './session.js';
import { StopSignals, within } from './shutdown.js';

interface RunOptions extends CommonOptions {
  readonly workersOnly?: boolean;
  readonly wait: boolean;
  readonly again?: string;
  readonly name?: string;
}

const drainMs = 30_000;

export function batchCommand(): Command {
  const batch = group('batch', 'collect many repayments at once');
  batch.addCommand(
    running(
      command('run', 'load a CSV of due repayments and collect it').argument('<file>'),
    ).action(
      run<RunOptions>((options, [file = '']) =>
        collect(options, ({ batchDesk }) =>
          batchDesk.load(file, options.name ?? basename(file), options.again ?? ''),
        ),
      ),
    ),
  );
  batch.addCommand(
    running(command('due', 'collect all that is due on a business date').argument('<date>')).action(
      run<RunOptions>((options, [date = '']) => {
        if (!isDate(date)) throw badUsage(`Not a date: ${date}`, 'Write it as 2026-11-22.');
        return collect(options, ({ batchDesk }) => batchDesk.loadDue(date, options.again ?? ''));
      }),
    ),
  );
  batch.addCommand(
    command('show', 'how far a batch is')
      .argument('<id>', 'as printed by `batch run`', asTaskId)
      .action(
        run<CommonOptions>((options, [id = '']) =>
          withServices(options, (services) => batchReport(services, id as TaskId)),
        ),
      ),
  );
  for (const name of ['pause', 'resume'] as const) {
    batch.addCommand(
      command(name, name === 'pause' ? 'start no further row' : 'go on with a paused batch')
        .argument('<id>', 'as printed by `batch run`', asTaskId)
        .action(run<CommonOptions>((options, [id = '']) => move(options, id as TaskId, name))),
    );
  }
  return batch;
}

const running = (self: Command): Command =>
  self
    .option('--workers-only', 'leave the work to `recoup worker`; only watch')
    .option('--no-wait', 'return as soon as the batch is loaded; implies --workers-only')
    .option('--again <label>', 'a new batch, though this one was run before')
    .option('--name <text>', 'what to call it');

async function move(options: CommonOptions, id: TaskId, to: 'pause' | 'resume'): Promise<Result> {
  return await withServices(options, async ({ batchDesk }) => {
    const batch = await (to === 'pause' ? batchDesk.pause(id) : batchDesk.resume(id));
    const text =
      to === 'pause' ? 'paused: rows under way end, none is started' : 'running: workers go on';
    return { json: { batch }, text };
  });
}

async function collect(
  options: RunOptions,
  load: (services: Services) => Promise<LoadedBatch>,
): Promise<Result> {
  const services = await openServices(options);
  const stop = new AbortController();
  const signals = new StopSignals();
  let work: Promise<void> | null = null;
  void signals.first.then(() => {
    tell('stopping: what is under way is finished first; once more, and it is left to others');
    stop.abort();
  });
  try {
    const { batch, known, notes } = await load(services);
    for (const note of notes) tell(`note: ${new RecoupError(note).title} [${note}]`);
    if (known) tell(`this batch is known: ${batch.id} (${batch.state})`);
    else tell(`loaded batch ${batch.id}: ${batch.rowsTotal} rows, ${batch.rowsRejected} rejected`);
    if (!options.wait) return await batchReport(services, batch.id, { known });
    if (options.workersOnly !== true) {
      services.startPoller();
      services.compensator.start();
      work = workOn(services, batch.id, stop.signal);
    }
    await watchBatch(services, batch.id, stop.signal);
    if (stop.signal.aborted) tell('interrupted: run the same command again to go on');
    return await batchReport(services, batch.id, { known });
  } finally {
    stop.abort();
    const closed = services.batchRunner
      .close()
      .then(() => work)
      .then(() => services.close());
    if (!(await within(drainMs, closed))) tell('some calls did not end; they are resumed later');
    signals.ignoreFromNowOn();
  }
}

/** Collects this batch and no other that may be running. */
async function workOn(services: Services, id: TaskId, stop: AbortSignal): Promise<void> {
  const { batchRunner, batches, clock, log } = services;
  while (!stop.aborted) {
    try {
      const batch = await batches.find(id);
      if (batch === null || batch.state === 'done' || batch.state === 'refused') return;
      const started = batch.state === 'running' ? await batchRunner.runOnce(batch) : 0;
      if (started === 0) await clock.sleep(500, stop);
    } catch (error) {
      log.warn('batch round did not finish', { why: String(error) });
      await clock.sleep(1_000, stop);
    }
  }
}
