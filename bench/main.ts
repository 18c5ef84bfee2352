/** `npm run bench`: what Recoup does a second, beside what the database could do and what others do. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Option } from 'commander';
import { asNumber, asSome, asWhole, program, readArguments } from '../src/arguments.js';
import { batch } from './batch.js';
import { growth } from './growth.js';
import { machine } from './machine.js';
import { metrics } from './metrics.js';
import { pending } from './pending.js';
import { router } from './router.js';
import { fairness, recovery, workers, type Section } from './sections.js';
import { Stage } from './stage.js';
import { starvation } from './starvation.js';
import { throughput, throughputTable, type Settings } from './throughput.js';

const sectionNames = [
  'throughput',
  'fairness',
  'workers',
  'recovery',
  'growth',
  'pending',
  'metrics',
  'router',
  'batch',
  'starvation',
] as const;

interface BenchOptions {
  readonly only: readonly (typeof sectionNames)[number][];
  readonly rows?: number;
  readonly rounds: number;
  readonly seconds: number;
  readonly minutes: number;
  readonly peers: boolean;
  readonly smoke?: boolean;
  readonly json?: boolean;
  readonly keepResult?: boolean;
}

const values = readArguments<BenchOptions>(
  program('npm run bench --', 'What Recoup does a second, and what others do.')
    .addOption(
      new Option('--only <sections>', `some of ${sectionNames.join(', ')}`)
        .argParser(asSome(sectionNames))
        .default(['throughput'], 'throughput'),
    )
    .option(
      '--rows <n>',
      'growth: of history (1,000,000); batch: of the file (1,000,000); pending: orders (20,000)',
      asWhole(1, 100_000_000),
    )
    .option('--rounds <n>', 'rounds through all cells', asWhole(1, 1_000), 5)
    .option('--seconds <n>', 'about how long one measurement takes', asNumber(0.1, 3_600), 2)
    .option(
      '--minutes <n>',
      'throughput: fewer rounds where they would take longer',
      asNumber(0.1, 1_440),
      7,
    )
    .option('--no-peers', 'without DBOS, which needs PostgreSQL and packages of its own')
    .option('--smoke', 'does everything still run? Its figures say nothing')
    .option('--json', 'the last line of stdout is JSON')
    .option('--keep-result', 'write it to bench/results/ as well'),
);

const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

const smoke = values.smoke === true;
const settings: Settings = {
  smoke,
  rounds: smoke ? 1 : values.rounds,
  warmUps: smoke ? 1 : 2,
  seconds: smoke ? 0.1 : values.seconds,
  minutes: values.minutes,
  levels: smoke ? [1, 16] : [1, 64, 512, 4_096],
  peers: !smoke && values.peers,
  progress,
};

const sections: Readonly<
  Record<(typeof sectionNames)[number], (stage: Stage) => Promise<Section>>
> = {
  throughput: async (stage) => {
    const figures = await throughput(stage, settings);
    return { figures, text: throughputTable(figures) };
  },
  fairness: async (stage) => await fairness(stage, settings),
  workers: async (stage) => await workers(stage, settings),
  recovery: async (stage) => await recovery(stage, settings),
  growth: async (stage) => await growth(stage, settings, values.rows ?? 1_000_000),
  pending: async (stage) => await pending(stage, settings, values.rows ?? 20_000),
  metrics: async (stage) => await metrics(stage, settings),
  router: async () => router(settings),
  batch: async (stage) => await batch(stage, settings, values.rows ?? 1_000_000),
  starvation: async (stage) => await starvation(stage, settings),
};

async function main(): Promise<void> {
  const stage = await Stage.open();
  const result: Record<string, unknown> = { machine: await machine(stage) };
  try {
    for (const name of values.only) {
      const section = await sections[name](stage);
      result[name] = section.figures;
      process.stderr.write(`\n${section.text}\n`);
    }
  } finally {
    await stage.close();
  }
  if (values.keepResult === true) keep(result);
  if (values.json === true) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function keep(result: unknown): void {
  const folder = join(import.meta.dirname, '..', '..', 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const name = `${new Date().toISOString().slice(0, 16).replace(':', '').replace('T', '-')}.json`;
  writeFileSync(join(folder, name), `${JSON.stringify(result, null, 1)}\n`);
  progress(`kept as bench/results/${name}`);
}

await main();
