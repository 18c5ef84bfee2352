/**
 * `npm run simulate`: many worlds, each from its seed.
 *
 *   --seeds N        how many (200)            --from S   the first one (1)
 *   --seed S         one world, its story; a failing one is shrunk first
 *   --tasks N        worlds until so many tasks were simulated (--deductions N: so many of these)
 *   --mix D:W:T      how many deductions, withdrawals and top-ups for each planned one (1:1:1)
 *   --workers N      child processes (as many as there are cores)
 *   --mutants        the seeded bugs: each must be caught
 *   --json           the last line of stdout is JSON
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { evenMix, type Mix } from './flow-plan.js';
import { reportMutants } from './mutant-runs.js';
import { kindsOf, shrink } from './shrink.js';
import { runWorld } from './run-world.js';
import { timelineOf } from './timeline.js';
import { addTotal, addWorld, nothing, type Total } from './total.js';

const number = { type: 'string' } as const;
const { values } = parseArgs({
  options: {
    seeds: number,
    from: number,
    seed: number,
    tasks: number,
    deductions: number,
    mix: number,
    workers: number,
    part: { type: 'boolean' },
    'until-failure': { type: 'boolean' },
    only: { type: 'string' },
    mutants: { type: 'boolean' },
    json: { type: 'boolean' },
  },
});

const how = mixOf(values.mix);

function mixOf(text: string | undefined): Mix {
  if (text === undefined) return evenMix;
  const [deductions = 0, withdrawals = 0, topUps = 0] = text.split(':').map(Number);
  return { deductions, withdrawals, topUps };
}

/** Seeds handed to a child at a time: small enough that cores end together. */
const portion = 250;

/** A world leaves much and keeps nothing; and each child has a core, its collector none of its own. */
const lean = ['--max-semi-space-size=64', '--single-threaded-gc'];

// The engine's expected refusals are errors; their stacks would cost more than the rest.
Error.stackTraceLimit = values.seed === undefined ? 0 : 10;

async function main(): Promise<number> {
  if (values.part === true) return await serveParts();
  if (values['until-failure'] === true) return await searchFailure();
  if (values.mutants === true) return await reportMutants(values.json === true, values.only);
  if (values.seed !== undefined) return await tellOne(Number(values.seed));
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
  if (values.json !== true) {
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
  return total.violations + total.unresolved > 0 ? 1 : 0;
}

async function simulate(): Promise<Total> {
  const { tasks, deductions } = values;
  const bounded = tasks !== undefined || deductions !== undefined;
  const enough = (): boolean =>
    total.tasks >= Number(tasks ?? Infinity) || total.deductions >= Number(deductions ?? Infinity);
  const seeds = bounded ? Infinity : Number(values.seeds ?? 200);
  const first = Number(values.from ?? 1);
  const workers = Number(values.workers ?? availableParallelism());
  const total = nothing();
  if (seeds <= portion || workers <= 1) {
    for (let seed = first; seed < first + seeds && !enough(); seed += 1) {
      addWorld(total, await runWorld({ seed, mix: how }));
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
    const child = fork(
      fileURLToPath(import.meta.url),
      ['--part', '--mix', `${how.deductions}:${how.withdrawals}:${how.topUps}`],
      { execArgv: lean },
    );
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
        addWorld(total, await runWorld({ seed, mix: how }));
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
  const first = Number(values.from ?? 1);
  for (let seed = first; seed < first + Number(values.seeds ?? 200); seed += 1) {
    const world = await runWorld({ seed, mix: how });
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
  const result = await runWorld({ seed, mix: how, told: true });
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
