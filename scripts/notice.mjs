// All that the set-up has to say goes to stderr: stdout belongs to the command it runs.

export function say(text) {
  process.stderr.write(`recoup: ${text}\n`);
}

/** A problem the reader can act on: printed without a stack trace, exit code 1. */
export class SetupProblem extends Error {}
