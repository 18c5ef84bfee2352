/** What `npm run simulate` is told. */
import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { asWhole, program } from '../arguments.js';
import { evenMix, type Mix } from './flow-plan.js';
import { mutants } from './mutants.js';

export interface SimulateOptions {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly tasks?: number;
  readonly deductions?: number;
  readonly mix: Mix;
  readonly workers: number;
  readonly mutants?: boolean;
  readonly only?: string;
  /** For the mutants: world after world until one fails. */
  readonly untilFailure?: boolean;
  /** A child process: worlds as its parent hands them out. */
  readonly part?: boolean;
  readonly json?: boolean;
}

const seedMax = 4_000_000_000;
const tasksMax = 1_000_000_000;
const worlds = ['seeds', 'from', 'tasks', 'deductions', 'workers'];

export const simulateProgram = (): Command =>
  program('npm run simulate --', 'Many worlds, each from its seed; then the oracle over each.')
    .addOption(
      new Option('--seeds <n>', 'how many worlds')
        .argParser(asWhole(1, 100_000_000))
        .default(200)
        .conflicts(['tasks', 'deductions']),
    )
    .option('--from <seed>', 'the first seed', asWhole(0, seedMax), 1)
    .addOption(
      new Option('--seed <seed>', 'one world, its story; a failing one is shrunk first')
        .argParser(asWhole(0, seedMax))
        .conflicts([...worlds, 'mutants']),
    )
    .option('--tasks <n>', 'worlds until so many tasks were simulated', asWhole(1, tasksMax))
    .option('--deductions <n>', '… so many of these', asWhole(1, tasksMax))
    .addOption(
      new Option('--mix <D:W:T>', 'deductions, withdrawals and top-ups for each planned one')
        .argParser(asMix)
        .default(evenMix, '1:1:1'),
    )
    .option('--workers <n>', 'child processes', asWhole(1, 256), availableParallelism())
    .addOption(
      new Option('--mutants', 'the seeded bugs: each must be caught').conflicts([...worlds, 'mix']),
    )
    .option('--only <text>', 'with --mutants: those with this in their name', asMutants)
    .option('--json', 'the last line of stdout is JSON')
    .addOption(new Option('--until-failure').hideHelp())
    .addOption(new Option('--part').hideHelp());

/** What each option alone does not show. */
export function simulateProblem(options: SimulateOptions): string | null {
  if (options.only !== undefined && options.mutants !== true) return '--only is for --mutants.';
  if (options.deductions !== undefined && options.mix.deductions === 0) {
    return 'With --mix 0:… there are no deductions to count.';
  }
  return null;
}

export const mixText = ({ deductions, withdrawals, topUps }: Mix): string =>
  `${deductions}:${withdrawals}:${topUps}`;

/** More deductions than are planned anyway there cannot be; whole numbers leave no world empty. */
function asMix(text: string): Mix {
  const [deductions = 0, withdrawals = 0, topUps = 0] = text.split(':').map(Number);
  const some = deductions + withdrawals + topUps > 0;
  if (/^[01]:\d:\d$/.test(text) && some) return { deductions, withdrawals, topUps };
  throw new InvalidArgumentError(
    'Three numbers such as 1:1:1 are expected, the first 0 or 1, the others up to 9, not all 0.',
  );
}

function asMutants(text: string): string {
  if (text !== '' && mutants.some(({ name }) => name.includes(text))) return text;
  throw new InvalidArgumentError('No mutant has this in its name; src/simulation/ lists them.');
}
