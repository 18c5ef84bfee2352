import { Command, InvalidArgumentError } from 'commander';
import { isTaskId, type TaskId } from '../ids.js';
import { parseDecimalAmount, type AmountMinor } from '../money.js';
import { exitCodes, type ExitCode } from './exit-codes.js';
import { failureOf, type Failure } from './failure.js';
import { wire } from './wire.js';

export { asNumber, asWhole } from '../arguments.js';

export interface CommonOptions {
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** What a command came to. With --json only `json` is printed, as the last line of stdout. */
export interface Result {
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly exitCode?: ExitCode;
}

/** A command with the options that all have. */
export function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print one JSON document on stdout, as its last line')
    .option('--debug', 'log everything, and print stacks');
}

/** A name that commands stand under. It has no options: it would take those of its commands. */
export const group = (name: string, description: string, ...commands: Command[]): Command =>
  commands.reduce((all, one) => all.addCommand(one), new Command(name).description(description));

/** Runs an action, prints what came of it and sets the exit code. Never rejects. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- commander knows no types
export function run<Options extends CommonOptions>(
  action: (options: Options, args: readonly string[]) => Promise<Result>,
): (...args: unknown[]) => Promise<void> {
  return async (...all) => {
    const self = all.at(-1) as Command;
    const options = self.opts<Options>();
    const args = self.processedArgs as string[];
    try {
      const { json, text, exitCode = exitCodes.done } = await action(options, args);
      process.exitCode = exitCode;
      await print(options.json === true ? JSON.stringify(wire(json)) : text);
    } catch (error) {
      const failure = failureOf(error);
      process.exitCode = failure.exitCode;
      if (options.debug === true) {
        process.stderr.write(`${(error as Error).stack ?? String(error)}\n`);
      }
      await printFailure(failure, options.json === true);
    }
  };
}

/** Resolves when the text has left: a pipe takes its time. */
export async function print(text: string): Promise<void> {
  if (text === '') return;
  await new Promise<void>((resolve) => process.stdout.write(`${text}\n`, () => resolve()));
}

/** A line for people, while something goes on. stdout belongs to results. */
export function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function printFailure(failure: Failure, json: boolean): Promise<void> {
  const { code, title, action, details } = failure;
  if (json) return await print(JSON.stringify(wire({ error: { code, title, action, details } })));
  tell(`recoup: ${title} [${code}]`);
  for (const line of detailLines(details)) tell(`  ${line}`);
  tell(`  → ${action}`);
}

function detailLines(details: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(details).flatMap(([name, value]) => {
    if (!Array.isArray(value)) return [`${name}: ${plain(value)}`];
    return value.map((one: unknown) => {
      if (typeof one !== 'object' || one === null) return `${name}: ${plain(one)}`;
      return problemLine(one as Readonly<Record<string, unknown>>);
    });
  });
}

/** `12:5 channels.0.limits: too small`, where a problem says where it is. */
function problemLine(problem: Readonly<Record<string, unknown>>): string {
  const { line, column, message, ...rest } = problem;
  const at = line === undefined ? '' : `line ${plain(line)}:${plain(column)} `;
  const of = Object.values(rest).filter((value) => value !== '');
  return `${at}${of.map(plain).join(' ')}${message === undefined ? '' : `: ${plain(message)}`}`;
}

const plain = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(wire(value));

// ------------------------------------------------------------------------- arguments to values

export function asTaskId(text: string): TaskId {
  if (!isTaskId(text)) throw new InvalidArgumentError('An id is a UUID, such as deduct prints it.');
  return text;
}

/** "12.34" in yuan. */
export function asAmount(text: string): AmountMinor {
  const amount = parseDecimalAmount(text);
  if (amount === null) throw new InvalidArgumentError('An amount is a decimal such as 1280.50.');
  return amount;
}
