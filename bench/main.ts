/**
 * `npm run bench`: what Recoup does a second, beside what the database could do and what others do.
 *
 *   --only A,B     sections: throughput (the usual), fairness, workers, recovery, growth, pending, router, batch, metrics
 *   --rows N       growth: rows of history (1,000,000); batch: of the file (1,000,000); pending: orders (20,000)
 *   --rounds N     rounds through all cells (5)
 *   --seconds S    about how long one measurement takes (2)
 *   --minutes M    throughput: fewer rounds where they would take longer (7)
 *   --no-peers     without DBOS, which needs PostgreSQL and packages of its own
 *   --smoke        a minute's work at most, to see that everything runs; its figures say nothing
 *   --json         the last line of stdout is JSON
 *   --keep-result  writes it to bench/results/ as well
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'throughput' },
    rows: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    minutes: { type: 'string', default: '7' },
    'no-peers': { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'keep-result': { type: 'boolean', default: false },
  },
});

const progress = (line: string): void => void process.stderr.write(`bench: ${line}\n`);

const settings: Settings = {
  smoke: values.smoke,
  rounds: values.smoke ? 1 : Number(values.rounds),
  warmUps: values.smoke ? 1 : 2,
  seconds: values.smoke ? 0.1 : Number(values.seconds),
  minutes: Number(values.minutes),
  levels: values.smoke ? [1, 16] : [1, 64, 512, 4_096],
  peers: !values.smoke && !values['no-peers'],
  progress,
};

const sections: Readonly<Record<string, (stage: Stage) => Promise<Section>>> = {
  throughput: async (stage) => {
    const figures = await throughput(stage, settings);
    return { figures, text: throughputTable(figures) };
  },
  fairness: async (stage) => await fairness(stage, settings),
  workers: async (stage) => await workers(stage, settings),
  recovery: async (stage) => await recovery(stage, settings),
  growth: async (stage) => await growth(stage, settings, Number(values.rows ?? 1_000_000)),
  pending: async (stage) => await pending(stage, settings, Number(values.rows ?? 20_000)),
  metrics: async (stage) => await metrics(stage, settings),
  router: async () => router(settings),
  batch: async (stage) => await batch(stage, settings, Number(values.rows ?? 1_000_000)),
  starvation: async (stage) => await starvation(stage, settings),
};

async function main(): Promise<void> {
  const wanted = values.only.split(',');
  const unknown = wanted.filter((name) => !(name in sections));
  if (unknown.length > 0) throw new Error(`no such section: ${unknown.join(', ')}`);
  const stage = await Stage.open();
  const result: Record<string, unknown> = { machine: await machine(stage) };
  try {
    for (const name of wanted) {
      const section = await sections[name]?.(stage);
      result[name] = section?.figures;
      process.stderr.write(`\n${section?.text ?? ''}\n`);
    }
  } finally {
    await stage.close();
  }
  if (values['keep-result']) keep(result);
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
}

function keep(result: unknown): void {
  const folder = join(import.meta.dirname, '..', '..', 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  const name = `${new Date().toISOString().slice(0, 16).replace(':', '').replace('T', '-')}.json`;
  writeFileSync(join(folder, name), `${JSON.stringify(result, null, 1)}\n`);
  progress(`kept as bench/results/${name}`);
}

await main();
