#!/usr/bin/env node
/** The `recoup` command. Each command stands in a file of its own under cli/. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { batchCommand } from './cli/batch.js';
import { channelsCommand } from './cli/channels.js';
import { exitCodes } from './cli/exit-codes.js';
import { migrateCommand } from './cli/migrate.js';
import { sandboxCommand } from './cli/sandbox.js';
import { serveCommand } from './cli/serve.js';
import { workerCommand } from './cli/worker.js';

const exitCodeHelp = `
Exit codes: 0 done, or collected · 1 internal error · 2 bad usage or input, nothing was done ·
3 the deduction failed · 4 not known yet: under way, for review, or interrupted · 5 unavailable, repeat`;

function program(): Command {
  const recoup = new Command('recoup')
    .description('Collects loan repayments through payment channels: never twice, never lost.')
    .version(version())
    .addHelpText('after', exitCodeHelp);
  for (const one of [
    serveCommand(),
    workerCommand(),
    migrateCommand(),
    batchCommand(),
    channelsCommand(),
    sandboxCommand(),
  ]) {
    recoup.addCommand(one);
  }
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
  const recoup = program();
  exitAsUsage(recoup);
  try {
    await recoup.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.refused;
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
