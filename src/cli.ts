#!/usr/bin/env node
/** The `recoup` command. */
import { exitCodes } from './cli/exit-codes.js';
import { runCommandLine } from './cli/program.js';

// A reader that has had enough (`recoup list | head`) is no error.
process.stdout.on('error', () => process.exit(process.exitCode ?? 0));

runCommandLine(process.argv.slice(2)).then(
  // Whatever still holds the loop (a pool that waits for a server gone away) holds nothing of ours.
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`recoup: ${String(error)}\n`);
    process.exit(exitCodes.internal);
  },
);
