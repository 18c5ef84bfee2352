#!/usr/bin/env node
/** The `recoup` command. Each command stands in a file of its own under cli/. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { exitCodes } from './cli/exit-codes.js';

/** Only what is asked for is loaded: a queue and an API take a second that `recoup sandbox` has not. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.js')).serveCommand(),
  worker: async () => (await import('./cli/worker.js')).workerCommand(),
  migrate: async () => (await import('./cli/migrate.js')).migrateCommand(),
  doctor: async () => (await import('./cli/doctor.js')).doctorCommand(),
  deduct: async () => (await import('./cli/deduct.js')).deductCommand(),
  show: async () => (await import('./cli/show.js')).showCommand(),
  list: async () => (await import('./cli/list.js')).listCommand(),
  cases: async () => (await import('./cli/cases.js')).casesCommand(),
  ask: async () => (await import('./cli/ask.js')).askCommand(),
  batch: async () => (await import('./cli/batch.js')).batchCommand(),
  repayments: async () => (await import('./cli/repayments.js')).repaymentsCommand(),
  channels: async () => (await import('./cli/channels.js')).channelsCommand(),
  routes: async () => (await import('./cli/routes.js')).routesCommand(),
  keys: async () => (await import('./cli/keys.js')).keysCommand(),
  sandbox: async () => (await import('./cli/sandbox.js')).sandboxCommand(),
};

const exitCodeHelp = `
Exit codes: 0 done, or collected · 1 internal error · 2 bad usage or input, nothing was done ·
3 the deduction failed · 4 not known yet: under way, for review, or interrupted · 5 unavailable, repeat`;

async function program(wanted: string | undefined): Promise<Command> {
  const recoup = new Command('recoup')
    .description('Collects loan repayments through payment channels: never twice, never lost.')
    .version(version())
    .addHelpText('after', exitCodeHelp);
  const one = Object.hasOwn(commands, wanted ?? '') ? commands[wanted ?? ''] : undefined;
  const loaders = one === undefined ? Object.values(commands) : [one];
  for (const load of loaders) recoup.addCommand(await load());
  return recoup;
}

function version(): string {
  // dist/src/cli.js -> package.json
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Wrong usage is one exit code, whoever found it out: commander, or a check of ours. */
function exitAsUsage(self: Command): void {
  self.exitOverride();
  for (const inner of self.commands) exitAsUsage(inner);
}

async function main(): Promise<void> {
  const recoup = await program(process.argv[2]);
  exitAsUsage(recoup);
  try {
    await recoup.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.refused;
    if (process.exitCode !== exitCodes.done && process.argv.includes('--json')) {
      const { message: title } = error;
      const usage = { code: 'bad_usage', title, action: 'See --help.', details: {} };
      process.stdout.write(`${JSON.stringify({ error: usage })}\n`);
    }
  }
}

// A reader that has had enough (`recoup list | head`) is no error.
process.stdout.on('error', () => process.exit(process.exitCode ?? 0));

main().then(
  // Whatever still holds the loop (a pool that waits for a server gone away) holds nothing of ours.
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`recoup: ${String(error)}\n`);
    process.exit(exitCodes.internal);
  },
);
