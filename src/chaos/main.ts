/**
 * The chaos run: `npm run chaos -- --minutes 5 --json`. Real stores, the other sides with faults of their
 * own, and four workers that serve the API, under a load of deductions, withdrawals and top-ups, struck by
 * a seeded plan of faults; then quiet, and the oracle over all books. docs/chaos.md says what is injected
 * and measured.
 */
import { setMaxListeners } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Option } from 'commander';
import { asNumber, asSeedText, asSome, program, readArguments } from '../arguments.js';
import { spendTheEvening } from '../demo/evening.js';
import { Caller } from '../demo/flows/callers.js';
import {
  importProfiles,
  makeKey,
  readBooks,
  startParties,
  type Books,
} from '../demo/flows/parties.js';
import { flowTimes } from '../demo/flows/scenario.js';
import { OurDatabase } from '../demo/our-books.js';
import { runRecoup, type Daemon, type Environment } from '../demo/processes.js';
import { judge } from '../oracle/index.js';
import { Batches } from './batches.js';
import { Clerks, hireClerks } from './clerks.js';
import { Crew } from './crew.js';
import { Injector } from './injector.js';
import { chaosTimes, faultKinds, plan, required, type FaultKind } from './plan.js';
import { complaints, report, summary, type Findings } from './report.js';
import { Requests, topUpsOfMinute } from './requests.js';
import { startStores, type Stores } from './stores.js';

interface ChaosOptions {
  readonly minutes: number;
  readonly seconds?: number;
  readonly seed: string;
  readonly settleSeconds: number;
  readonly only: readonly FaultKind[];
  readonly json?: boolean;
}

const options = readArguments<ChaosOptions>(
  program('npm run chaos --', 'Real workers and stores, killed, stopped and cut by a seeded plan.')
    .option('--minutes <n>', 'how long faults strike', asNumber(0.1, 1_440), 5)
    .addOption(
      new Option('--seconds <n>', 'the same, in seconds')
        .argParser(asNumber(5, 86_400))
        .conflicts('minutes'),
    )
    .option('--seed <text>', 'what the plan of faults is drawn from', asSeedText, 'chaos')
    .option(
      '--settle-seconds <n>',
      'after the last fault everything must come to an end within this',
      asNumber(1, 3_600),
      120,
    )
    .addOption(
      new Option('--only <kinds>', `some kinds of fault alone: ${faultKinds.join(', ')}`)
        .argParser(asSome(faultKinds))
        .default(faultKinds, 'all'),
    )
    .option('--json', 'the last line of stdout is JSON'),
);

/** More than a bad day has, so that the clerks have something to give back. */
const doubling = {
  channel: 'swiftpay',
  operation: 'charge',
  fault: 'duplicate_capture',
  probability: 0.003,
};

const durationMs = 1_000 * (options.seconds ?? options.minutes * 60);
const kinds = options.only;
const settleMs = 1_000 * options.settleSeconds;
/** After the last outcome: whatever a channel still does late would show by then. */
const aftermathMs = 4_000;
/** Starting, reading and judging; past it the run ends by force. */
const slackMs = 300_000;

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
    if (options.json === true) process.stdout.write(`${JSON.stringify(said)}\n`);
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
  const { env, books } = await surround(stores, folder, daemons);
  const { channels } = books;
  crew.calledBackAt = async (url) => await channels.callBackTo(`${url}/callbacks/unionlink`);
  await crew.assemble(env, stores.database.url, stores.databasePort);
  const caller = await findCaller(env, crew);
  const requests = new Requests(caller);
  await requests.prepare();
  say(`${crew.places.length} workers; faults for ${durationMs / 1_000} s, seed ${options.seed}`);
  const database = new OurDatabase(stores.database.url);
  const batches = new Batches(options.seed, env, folder, () => database.pendingRows(), say);
  const injector = new Injector(crew, stores, say);
  const stage = { database, witness: channels, env, folder, say };
  const clerks = new Clerks(stage, await hireClerks(stage));
  const working = Promise.all([batches.run(), requests.run(), clerks.run()]);
  // What fails here is said at once, and ends the run when the faults are over.
  working.catch((error: unknown) => say(String(error)));
  const looking = setInterval(() => crew.lookAround(), 200);
  try {
    await delay(2_000);
    const faults = injector.carryOut(plan(options.seed, durationMs, kinds), stop.signal);
    await delay(durationMs, undefined, { signal: stop.signal }).catch(() => undefined);
    for (const work of [batches, requests, clerks]) work.stop();
    await Promise.all([faults, working]);
    say('the faults are over');
    const settleStartMs = performance.now();
    const stuck = await settle(database, crew, settleStartMs + settleMs);
    const settleSeconds = Math.round((performance.now() - settleStartMs) / 100) / 10;
    await delay(aftermathMs);
    // What came to light last, and the refunds that follow from it.
    await clerks.round();
    await settle(database, crew, performance.now() + settleMs);
    const evening = stuck === 0 ? await spendTheEvening(stage) : null;
    clearInterval(looking);
    const surprises = [...crew.surprises, ...endedByThemselves(daemons)];
    await crew.disband(15_000);
    say(`${stuck === 0 ? 'nothing is left' : 'time is over'}; comparing the books`);
    const read = await database.evidence(await readBooks(books), true);
    const evidence = { ...read, told: caller.told };
    return {
      seed: options.seed,
      evidence,
      verdict: judge(evidence),
      evening,
      struck: injector.struck,
      missed: injector.missed,
      required: required(durationMs, kinds),
      commits: crew.places.map(({ proxy }) => proxy.logCommits),
      stuck,
      refused: caller.refused,
      clerks,
      batches,
      failedStarts: crew.failedStarts,
      surprises,
      settleSeconds,
      seconds: seconds(),
    };
  } finally {
    clearInterval(looking);
    await database.close();
  }
}

async function findCaller(env: Environment, crew: Crew): Promise<Caller> {
  const [app, operator] = await Promise.all([
    makeKey(env, 'app', 'members'),
    makeKey(env, 'operator', 'till'),
  ]);
  return new Caller(() => crew.urls, { app, operator });
}

/** The other sides and the schema. */
async function surround(
  stores: Stores,
  folder: string,
  daemons: Daemon[],
): Promise<{ env: Environment; books: Books }> {
  const base: Environment = {
    ...process.env,
    RECOUP_DATABASE_URL: stores.database.url,
    RECOUP_MIGRATION_URL: stores.migrationUrl,
    RECOUP_REDIS_URL: stores.redis.url,
    RECOUP_BATCH_IN_FLIGHT: '16',
    ...flowTimes,
    ...chaosTimes,
  };
  const topUps = topUpsOfMinute * Math.ceil(durationMs / 60_000);
  const how = { seed: options.seed, latencyScale: '1', topUps };
  const { books, env: others } = await startParties(base, folder, daemons, how);
  const env: Environment = { ...base, ...others };
  await runRecoup(['migrate'], env);
  await importProfiles(env);
  await books.channels.addFaults([doubling]);
  return { env, books };
}

/** @returns how many batches and tasks are left; 0 when everything has come to an end. */
async function settle(database: OurDatabase, crew: Crew, deadlineMs: number): Promise<number> {
  let toldMs = performance.now();
  for (;;) {
    const tasks = await database.underWay();
    const batches = await database.unfinishedBatches();
    const messages = await database.unposted();
    const left = tasks.reduce((sum, { count }) => sum + count, batches + messages);
    if (left === 0 && crew.complete) return 0;
    const each = tasks.map(({ kind, count }) => `${count} of ${kind}`);
    const where = [...each, `${batches} batches`, `${messages} messages`].join(', ');
    if (performance.now() > deadlineMs || stop.signal.aborted) {
      say(`left: ${where}\n${await database.stuckTasks()}`);
      return Math.max(1, left);
    }
    if (performance.now() - toldMs > 5_000) {
      toldMs = performance.now();
      say(`left: ${where}`);
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
