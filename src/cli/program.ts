/** What `recoup` understands. Each command stands in a file of its own. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { print } from './command.js';
import { exitCodes } from './exit-codes.js';

/** Only what is asked for is loaded: a queue and an API take a second that `recoup sandbox` has not. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.js')).serveCommand(),
  worker: async () => (await import('./worker.js')).workerCommand(),
  migrate: async () => (await import('./migrate.js')).migrateCommand(),
  doctor: async () => (await import('./doctor.js')).doctorCommand(),
  deduct: async () => (await import('./deduct.js')).deductCommand(),
  withdraw: async () => (await import('./withdraw.js')).withdrawCommand(),
  'top-up': async () => (await import('./top-up.js')).topUpCommand(),
  'top-ups': async () => (await import('./top-up.js')).topUpsCommand(),
  withdrawals: async () => (await import('./withdraw.js')).withdrawalsCommand(),
  members: async () => (await import('./members.js')).membersCommand(),
  show: async () => (await import('./show.js')).showCommand(),
  list: async () => (await import('./list.js')).listCommand(),
  ledger: async () => (await import('./ledger.js')).ledgerCommand(),
  queues: async () => (await import('./queues.js')).queuesCommand(),
  cases: async () => (await import('./cases.js')).casesCommand(),
  refunds: async () => (await import('./refunds.js')).refundsCommand(),
  ask: async () => (await import('./ask.js')).askCommand(),
  batch: async () => (await import('./batch.js')).batchCommand(),
  repayments: async () => (await import('./repayments.js')).repaymentsCommand(),
  channels: async () => (await import('./channels.js')).channelsCommand(),
  routes: async () => (await import('./routes.js')).routesCommand(),
  reconcile: async () => (await import('./reconcile.js')).reconcileCommand(),
  book: async () => (await import('./reconcile.js')).bookCommand(),
  keys: async () => (await import('./keys.js')).keysCommand(),
  notices: async () => (await import('./notices.js')).noticesCommand(),
  sandbox: async () => (await import('./sandbox.js')).sandboxCommand(),
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
  // dist/src/cli/program.js -> package.json
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Wrong usage is one exit code, whoever found it out: commander, or a check of ours. */
function exitAsUsage(self: Command): void {
  self.exitOverride();
  for (const inner of self.commands) exitAsUsage(inner);
}

/** Runs one command line and sets `process.exitCode`. Nothing of it is left open. */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  const recoup = await program(args[0]);
  exitAsUsage(recoup);
  try {
    await recoup.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.refused;
    if (process.exitCode !== exitCodes.done && args.includes('--json')) {
      const { message: title } = error;
      const usage = { code: 'bad_usage', title, action: 'See --help.', details: {} };
      await print(JSON.stringify({ error: usage }));
    }
  }
}
