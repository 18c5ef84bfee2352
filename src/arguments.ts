/**
 * What people type after the name of a program. The programs that prove and measure (`npm run simulate`
 * and its like) read theirs here: what is wrong is refused in one line before anything is started. A
 * figure that came of a misread number would be worse than none.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander';

/** As the `recoup` command has it: wrong usage, nothing was done. */
export const badUsageExitCode = 2;
/** `scripts/run.mjs --ask-first` starts stores only on this word. */
const goOnExitCode = 100;

/** @param usage how it is called, such as `npm run simulate --` */
export const program = (usage: string, description: string): Command =>
  new Command(usage).description(description).helpOption('--help', 'show this');

/**
 * Ends the process where it is asked for help, or where the arguments are wrong.
 *
 * @param wrong what the options, each right by itself, are together; null: nothing
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- commander knows no types
export function readArguments<Options extends object>(
  from: Command,
  wrong: (options: Options) => string | null = () => null,
): Options {
  const args = process.argv.slice(2);
  const refused = parseProblem(from, args) ?? wrong(from.opts<Options>());
  if (refused !== null) {
    refuse(from.name(), refused, args.includes('--json'));
    process.exit(badUsageExitCode);
  }
  if (process.env['RECOUP_ASKED_FIRST'] !== undefined) process.exit(goOnExitCode);
  return from.opts<Options>();
}

function parseProblem(from: Command, args: readonly string[]): string | null {
  from.exitOverride().configureOutput({ outputError: () => undefined });
  try {
    from.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) process.exit(0);
    return error.message.replace(/^error: /, '');
  }
  return null;
}

function refuse(usage: string, title: string, json: boolean): void {
  const action = `See \`${usage} --help\`.`;
  process.stderr.write(`${title.replaceAll('\n', ' ')} [bad_usage] ${action}\n`);
  if (!json) return;
  const error = { code: 'bad_usage', title, action, details: {} };
  process.stdout.write(`${JSON.stringify({ error })}\n`);
}

export const asWhole =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`A whole number from ${min} to ${max} is expected.`);
  };

export const asNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (/^\d+(\.\d+)?$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`A number from ${min} to ${max} is expected.`);
  };

export function asSeedText(text: string): string {
  if (/^[\w.-]{1,40}$/.test(text)) return text;
  throw new InvalidArgumentError('Up to 40 letters, digits, dots and dashes are expected.');
}

/** Several of a list, with commas between them. */
export const asSome =
  <Name extends string>(known: readonly Name[]) =>
  (text: string): readonly Name[] =>
    text.split(',').map((word) => {
      const name = known.find((one) => one === word.trim());
      if (name !== undefined) return name;
      throw new InvalidArgumentError(`There are ${known.join(', ')}.`);
    });
