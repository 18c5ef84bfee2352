/** `npm run simulate`: many worlds, each from its seed; `--help` says what it can be told. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readArguments } from '../arguments.js';
import { reportMutants } from './mutant-runs.js';
import { mixText, simulateProblem, simulateProgram } from './options.js';
import { kindsOf, shrink } from './shrink.js';
import { runWorld } from './run-world.js';
import { timelineOf } from './timeline.js';
import { addTotal, addWorld, nothing, shortfall, type Total } from './total.js';

const options = readArguments(simulateProgram(), simulateProblem);
const { mix } = options;

/** Seeds handed to a child at a time: small enough that cores end together. */
const portion = 250;
/** About; what needs few worlds is not handed out. */
const tasksOfWorld = 20;

/** A world leaves much and keeps nothing; and each child has a core, its collector none of its own. */
const lean = ['--max-semi-space-size=64', '--single-threaded-gc'];

// The engine's expected refusals are errors; their stacks would cost more than the rest.
Error.stackTraceLimit = options.seed === undefined ? 0 : 10;

async function main(): Promise<number> {
  if (options.part === true) return await serveParts();
  if (options.untilFailure === true) return await searchFailure();
  if (options.mutants === true) return await reportMutants(options.json === true, options.only);
  if (options.seed !== undefined) return await tellOne(options.seed);
  return await runMany();
}

async function runMany(): Promise<number> {
  const startedMs = performance.now();
  const total = await simulate();
  const seconds = (performance.now() - startedMs) / 1_000;
  for (const { seed, violations, unresolved } of total.failures) {
    const [first] = violations;
    const what = first === undefined ? 'unresolved' : `${first.kind}: ${first.detail}`;
    const count = violations.length + unresolved.length;
    console.error(`seed ${seed}: ${count} found; ${what}`);
    console.error(`  its story: npm run simulate -- --seed ${seed}`);
  }
  const share = ((100 * total.tasks_hit) / Math.max(1, total.tasks)).toFixed(1);
  if (options.json !== true) {
    console.log(`${total.seeds} worlds, ${total.tasks} tasks in ${seconds.toFixed(1)} s`);
    console.log(`${total.faults} faults struck; ${share} % of the tasks were hit`);
    console.log(`${total.violations} violations, ${total.unresolved} unresolved`);
  } else {
    const { faults_by_kind: byKind, failures: _failures, digest, ...figures } = total;
    const line = {
      ...figures,
      virtual_days: Math.round(total.virtual_days),
      hit_share: Number(share),
      tasks_per_second: Math.round(total.tasks / seconds),
      digest: digest.toString(16).padStart(8, '0'),
      faults_by_kind: byKind,
    };
    console.log(JSON.stringify(line));
  }
  const missing = shortfall(total, seedsAsked());
  if (missing !== null) console.error(`${missing}: this proves nothing`);
  return total.violations + total.unresolved > 0 || missing !== null ? 1 : 0;
}

const seedsAsked = (): number =>
  options.tasks === undefined && options.deductions === undefined ? options.seeds : Infinity;

async function simulate(): Promise<Total> {
  const { from: first, workers, tasks = Infinity, deductions = Infinity } = options;
  const enough = (): boolean => total.tasks >= tasks || total.deductions >= deductions;
  const seeds = seedsAsked();
  const total = nothing();
  if (Math.min(seeds, tasks / tasksOfWorld, deductions) <= portion || workers <= 1) {
    for (let seed = first; seed < first + seeds && !enough(); seed += 1) {
      addWorld(total, await runWorld({ seed, mix }));
    }
    return total;
  }
  let next = first;
  const take = (): { from: number; count: number } | null => {
    const count = Math.min(portion, first + seeds - next);
    if (count <= 0 || enough()) return null;
    next += count;
    return { from: next - count, count };
  };
  await Promise.all(Array.from({ length: workers }, () => employ(take, total)));
  return total;
}

/** One child process, until nothing is left to take. */
async function employ(
  take: () => { from: number; count: number } | null,
  total: Total,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), ['--part', '--mix', mixText(mix)], {
      execArgv: lean,
    });
    const give = (): void => {
      const part = take();
      if (part === null) child.disconnect();
      else child.send(part);
    };
    child.on('message', (part: Total) => {
      addTotal(total, part);
      give();
    });
    child.on('error', reject);
    child.on('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`a simulating process ended with ${code}`)),
    );
    give();
  });
}

/** What a child does: portions, until its parent lets go of it. */
async function serveParts(): Promise<number> {
  process.on('message', ({ from, count }: { from: number; count: number }) => {
    void (async () => {
      const total = nothing();
      for (let seed = from; seed < from + count; seed += 1) {
        addWorld(total, await runWorld({ seed, mix }));
      }
      process.send?.(total);
    })();
  });
  await new Promise<void>((resolve) => process.on('disconnect', resolve));
  return 0;
}

/** For the mutants: world after world until one fails. */
async function searchFailure(): Promise<number> {
  const total = nothing();
  const { from, seeds } = options;
  for (let seed = from; seed < from + seeds; seed += 1) {
    const world = await runWorld({ seed, mix });
    addWorld(total, world);
    const [kind] = kindsOf(world);
    if (kind === undefined) continue;
    console.log(JSON.stringify({ seed, kind, tasks: total.tasks }));
    return 1;
  }
  console.log(JSON.stringify({ seed: null, kind: null, tasks: total.tasks }));
  return 0;
}

async function tellOne(seed: number): Promise<number> {
  const result = await runWorld({ seed, mix, told: true });
  const failed = kindsOf(result).size > 0;
  if (!failed) {
    process.stdout.write(timelineOf(result));
    console.log(`seed ${seed}: all is well; digest ${result.digest.toString(16)}`);
    return 0;
  }
  const { result: smallest, needed } = await shrink(result);
  process.stdout.write(timelineOf(smallest));
  console.log(`seed ${seed}: ${[...kindsOf(smallest)].join(', ')}`);
  console.log(`${needed.length} of ${result.faults.length} faults are needed for it:`);
  for (const fault of needed) console.log(`  ${fault}`);
  return 1;
}

process.exitCode = await main();
