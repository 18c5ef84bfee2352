/**
 * The chaos run: `npm run chaos -- --minutes 5 --json`. Real stores, a sandbox with faults, an API
 * for callbacks and four workers under load, struck by a seeded plan of faults; then quiet, and the
 * oracle over both books. docs/chaos.md says what is injected and measured.
 */
import { setMaxListeners } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { spendTheEvening } from '../demo/evening.js';
import { Daemon, runRecoup, type Environment } from '../demo/processes.js';
import { Witness as SandboxDoor } from '../demo/witness.js';
import { judge } from '../oracle/index.js';
import { Clerks, hireClerks } from './clerks.js';
import { Crew } from './crew.js';
import { Witness } from './evidence.js';
import { Injector } from './injector.js';
import { Load } from './load.js';
import { chaosTimes, faultKinds, kindsOf, plan, required } from './plan.js';
import { complaints, report, summary, type Findings } from './report.js';
import { startStores, type Stores } from './stores.js';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    /** Instead of minutes. */
    seconds: { type: 'string' },
    seed: { type: 'string', default: 'chaos' },
    /** After the last fault everything must come to an end within this. */
    'settle-seconds': { type: 'string', default: '120' },
    /** Some kinds of fault alone, to see one by itself. */
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

/** More than a bad day has, so that the clerks have something to give back. */
const doubling = {
  channel: 'swiftpay',
  operation: 'charge',
  fault: 'duplicate_capture',
  probability: 0.003,
};

const durationMs = 1_000 * Number(options.seconds ?? Number(options.minutes) * 60);
const kinds = options.only === undefined ? faultKinds : kindsOf(options.only);
const settleMs = 1_000 * Number(options['settle-seconds']);
/** After the last outcome: whatever a channel still does late would show by then. */
const aftermathMs = 3_000;
/** Starting, reading and judging; past it the run ends by force. */
const slackMs = 180_000;

const startedMs = performance.now();
const seconds = (): number => Math.round((performance.now() - startedMs) / 100) / 10;
const say = (what: string): void =>
  void process.stderr.write(`${seconds().toFixed(1).padStart(6)} s  ${what}\n`);

const stop = new AbortController();
/** Every fault of the plan listens. */
setMaxListeners(0, stop.signal);

async function main(): Promise<number> {
  const runDir = process.env['RECOUP_RUN_DIR'];
  if (runDir === undefined) throw new Error('start it with `npm run chaos`');
  if (!(durationMs > 0 && settleMs > 0)) throw new Error('--minutes and --settle-seconds: above 0');
  const folder = join(runDir, `chaos-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const daemons: Daemon[] = [];
  const crew = new Crew(folder, say);
  const endAll = async (): Promise<void> => {
    await Promise.all([crew.disband(5_000), ...daemons.map((daemon) => daemon.stop(5_000))]);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort();
      void endAll().finally(() => process.exit(130));
    });
  }
  const guard = setTimeout(
    () => {
      say('no end in sight: giving up');
      void endAll().finally(() => process.exit(1));
    },
    durationMs + settleMs + slackMs,
  );
  try {
    const found = await liveThroughIt(await startStores(runDir), crew, folder, daemons);
    const said = summary(found);
    const wrong = complaints(said);
    process.stderr.write(`${report(found, said, wrong)}\n`);
    if (options.json) process.stdout.write(`${JSON.stringify(said)}\n`);
    return wrong.length === 0 ? 0 : 1;
  } finally {
    clearTimeout(guard);
    await endAll();
  }
}

async function liveThroughIt(
  stores: Stores,
  crew: Crew,
  folder: string,
  daemons: Daemon[],
): Promise<Findings> {
  const { env, admin } = await surround(stores, folder, daemons);
  await crew.assemble(env, stores.database.url, stores.databasePort);
  say(`${crew.places.length} workers; faults for ${durationMs / 1_000} s, seed ${options.seed}`);
  const witness = new Witness(stores.database.url, new SandboxDoor(admin));
  const load = new Load(options.seed, env, folder, () => witness.pendingRows(), say);
  const injector = new Injector(crew, stores, say);
  const door = new SandboxDoor(admin);
  const stage = { database: witness, witness: door, env, folder, say };
  const clerks = new Clerks(stage, await hireClerks(stage));
  const loading = load.run();
  const clerking = clerks.run();
  const looking = setInterval(() => crew.lookAround(), 200);
  try {
    await delay(2_000);
    const faults = injector.carryOut(plan(options.seed, durationMs, kinds), stop.signal);
    await delay(durationMs, undefined, { signal: stop.signal });
    load.stop();
    clerks.stop();
    await Promise.all([faults, loading, clerking]);
    say('the faults are over');
    const settleStartMs = performance.now();
    const stuck = await settle(witness, crew, settleStartMs + settleMs);
    const settleSeconds = Math.round((performance.now() - settleStartMs) / 100) / 10;
    await delay(aftermathMs);
    // What came to light last, and the refunds that follow from it.
    await clerks.round();
    await settle(witness, crew, performance.now() + settleMs);
    const evening = stuck === 0 ? await spendTheEvening(stage) : null;
    clearInterval(looking);
    const surprises = [...crew.surprises, ...endedByThemselves(daemons)];
    await crew.disband(15_000);
    say(`${stuck === 0 ? 'nothing is left' : 'time is over'}; comparing the books`);
    const { evidence, rows } = await witness.evidence();
    return {
      seed: options.seed,
      evidence,
      rows,
      verdict: judge(evidence),
      evening,
      struck: injector.struck,
      missed: injector.missed,
      required: required(durationMs, kinds),
      commits: crew.places.map(({ proxy }) => proxy.logCommits),
      stuck,
      clerks: {
        reconciled: clerks.reconciled,
        decided: clerks.decided,
        interrupted: clerks.interrupted,
      },
      batches: load.batches,
      interruptedLoads: load.interrupted,
      failedStarts: crew.failedStarts,
      surprises,
      settleSeconds,
      seconds: seconds(),
    };
  } finally {
    clearInterval(looking);
    await witness.close();
  }
}

/** The sandbox, the schema, the API. */
async function surround(
  stores: Stores,
  folder: string,
  daemons: Daemon[],
): Promise<{ env: Environment; admin: string }> {
  const base: Environment = {
    ...process.env,
    RECOUP_DATABASE_URL: stores.database.url,
    RECOUP_MIGRATION_URL: stores.migrationUrl,
    RECOUP_REDIS_URL: stores.redis.url,
    RECOUP_BATCH_IN_FLIGHT: '16',
    ...chaosTimes,
  };
  const args = ['sandbox', '--book', join(folder, 'sandbox'), '--seed', options.seed];
  const sandbox = Daemon.start('sandbox', [...args, '--faults', 'realistic'], base, folder);
  daemons.push(sandbox);
  const ready = await sandbox.ready<{ admin: string; env: Record<string, string> }>();
  const env: Environment = { ...base, ...ready.env };
  await runRecoup(['migrate'], env);
  const channels = new URL('../../../examples/channels.demo.yaml', import.meta.url);
  await runRecoup(['channels', 'import', fileURLToPath(channels)], env);
  const api = Daemon.start('api', ['serve'], { ...env, RECOUP_HTTP_PORT: '0' }, folder);
  daemons.push(api);
  const { url } = await api.ready<{ url: string }>();
  const door = new SandboxDoor(ready.admin);
  await door.callBackTo(`${url}/callbacks/unionlink`);
  await door.addFaults([doubling]);
  return { env, admin: ready.admin };
}

/** @returns how many batches and tasks are left; 0 when everything has come to an end. */
async function settle(witness: Witness, crew: Crew, deadlineMs: number): Promise<number> {
  let toldMs = performance.now();
  for (;;) {
    const { batches, tasks, messages } = await witness.left();
    if (batches === 0 && tasks === 0 && messages === 0 && crew.complete) return 0;
    const where = `${tasks} tasks, ${batches} batches and ${messages} messages are left`;
    if (performance.now() > deadlineMs || stop.signal.aborted) {
      say(`${where}\n${await witness.stuckTasks(10)}`);
      return tasks + batches + messages;
    }
    if (performance.now() - toldMs > 5_000) {
      toldMs = performance.now();
      say(tasks === 0 ? where : `${where}; the longest overdue: ${await witness.stuckTasks(1)}`);
    }
    await delay(200);
  }
}

const endedByThemselves = (daemons: readonly Daemon[]): string[] =>
  daemons
    .filter(({ ended }) => ended)
    .map((daemon) => {
      say(`${daemon.name} ended by itself:\n${daemon.lastWords()}`);
      return daemon.name;
    });

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (!stop.signal.aborted) process.stderr.write(`chaos: ${(error as Error).stack}\n`);
    process.exitCode = 1;
  },
);
