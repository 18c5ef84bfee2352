/**
 * The demo: `npm run demo`. Everything in it is real: the stores, the processes, the channels' HTTP, the
 * kill. docs/demo.md says what to look at, `--help` what it can be told.
 */
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, Option } from 'commander';
import { asNumber, asSeedText, asWhole, program, readArguments } from '../arguments.js';
import { loadConfig } from '../config.js';
import type { RecoupError } from '../errors.js';
import { judge, readLogs } from '../oracle/index.js';
import { spendTheEvening, type Evening } from './evening.js';
import { runFlows } from './flows/main.js';
import { flowComplaints, flowReport, flowSummary } from './flows/report.js';
import { OurDatabase } from './our-books.js';
import { Daemon, runRecoup, type Environment } from './processes.js';
import { complaints, report, summary, type Findings } from './report.js';
import {
  liveThroughIt,
  pace,
  shortened,
  startWorker,
  type Batch,
  type Day,
  type Stage,
} from './scenario.js';
import { byChannel, failovers, resumed, unknowns } from './story.js';
import { openCorner, type Corner } from './surroundings.js';
import { Witness } from './witness.js';

const example = (name: string): string =>
  fileURLToPath(new URL(`../../../examples/${name}`, import.meta.url));

interface DemoOptions {
  readonly json?: boolean;
  readonly keep?: boolean;
  readonly file: string;
  readonly flows?: boolean;
  readonly each?: number;
  readonly seed: string;
  readonly latencyScale: number;
  readonly deadlineSeconds: number;
}

const options = readArguments<DemoOptions>(
  program('npm run demo --', 'The main job, end to end, with faults, a kill and a flush.')
    .option('--json', 'the report goes to stderr, the last line of stdout is JSON')
    .option('--keep', 'leave everything running, and print where')
    .option('--file <due.csv>', 'collect this file', asFile, example('due-repayments.csv'))
    .addOption(
      new Option('--flows', 'deductions, withdrawals and top-ups together').conflicts([
        'file',
        'keep',
      ]),
    )
    .option('--each <n>', 'with --flows: tasks of each flow (150)', asWhole(10, 2_000))
    .option('--seed <text>', 'what the channels draw their faults from', asSeedText, 'demo')
    .option('--latency-scale <factor>', 'multiplies how long banks think', asNumber(0, 1_000), 1)
    .option(
      '--deadline-seconds <n>',
      'for the whole run; past it the demo says what is stuck',
      asWhole(10, 86_400),
      240,
    ),
  ({ each, flows }) => (each !== undefined && flows !== true ? '--each is for --flows.' : null),
);

function asFile(path: string): string {
  try {
    accessSync(path, constants.R_OK);
    return path;
  } catch {
    throw new InvalidArgumentError('It cannot be read.');
  }
}

const startedMs = performance.now();
const seconds = (): number => Math.round((performance.now() - startedMs) / 100) / 10;
const say = (what: string): void =>
  void process.stderr.write(`${seconds().toFixed(1).padStart(6)} s  ${what}\n`);

/** What is still there for those who asked to keep it. */
interface Kept {
  readonly api: string;
  readonly sandbox: string;
  readonly env: Environment;
}

async function main(): Promise<number> {
  const folder = workFolder();
  const daemons: Daemon[] = [];
  const config = loadConfig(process.env);
  const corner = await openCorner(config);
  const database = new OurDatabase(corner.databaseUrl);
  let keep = false;
  const endAll = async (): Promise<void> => {
    await Promise.all(daemons.map((daemon) => daemon.stop(15_000)));
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void endAll()
        .then(() => corner.leave(false))
        .finally(() => process.exit(130));
    });
  }
  try {
    if (options.flows === true) return await allFlows(corner, folder, daemons);
    const { found, kept } = await collect(corner, database, folder, daemons);
    const wrong = complaints(found);
    keep = options.keep === true;
    const lines = keep ? await keptLines(kept, folder, daemons) : [];
    tell(report(found), wrong, lines, summary(found));
    return wrong.length === 0 ? 0 : 1;
  } finally {
    if (keep) for (const daemon of daemons) daemon.letGo();
    else await endAll();
    await database.close();
    await corner.leave(keep);
    if (!keep && process.env['RECOUP_RUN_DIR'] === undefined) {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

async function allFlows(corner: Corner, folder: string, daemons: Daemon[]): Promise<number> {
  const found = await runFlows(corner, folder, daemons, {
    each: options.each ?? 150,
    seed: options.seed,
    latencyScale: String(options.latencyScale),
    deadlineMs: startedMs + options.deadlineSeconds * 1_000,
    seconds,
    say,
  });
  const wrong = flowComplaints(found);
  tell(flowReport(found), wrong, [], flowSummary(found));
  return wrong.length === 0 ? 0 : 1;
}

async function collect(
  corner: Corner,
  database: OurDatabase,
  folder: string,
  daemons: Daemon[],
): Promise<{ found: Findings; kept: Kept }> {
  const base: Environment = { ...process.env, ...corner.env, ...shortened, ...pace };
  const [sandbox] = await Promise.all([startSandbox(base, folder, daemons), prepareDatabase(base)]);
  const env: Environment = { ...base, ...sandbox.env };
  const witness = new Witness(sandbox.admin);
  say(`sandbox channels at ${Object.values(sandbox.channels).join(', ')}, with faults`);
  const deadlineMs = startedMs + options.deadlineSeconds * 1_000;
  const stage: Stage = { database, witness, corner, env, folder, daemons, say, deadlineMs };
  const [api, victim, other] = await Promise.all([
    startApi(stage),
    startWorker(stage, 'worker-1'),
    startWorker(stage, 'worker-2'),
  ]);
  say(`two workers: ${victim.instanceId}, ${other.instanceId}`);
  const batch = await loadBatch(env);
  const day = await liveThroughIt(stage, batch, victim);
  say(day.stuck === null ? 'nothing is left; comparing the books' : 'time is over');
  const evening = await spendTheEvening(stage);
  const found = await findOut(stage, batch, day, evening);
  return { found, kept: { api, sandbox: sandbox.admin, env } };
}

interface SandboxReady {
  readonly admin: string;
  readonly channels: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

async function startSandbox(
  env: Environment,
  folder: string,
  daemons: Daemon[],
): Promise<SandboxReady> {
  const args = ['sandbox', '--book', join(folder, 'sandbox'), '--seed', options.seed];
  args.push('--faults', 'realistic', '--latency-scale', String(options.latencyScale));
  const daemon = Daemon.start('sandbox', args, env, folder);
  daemons.push(daemon);
  return await daemon.ready<SandboxReady>();
}

async function prepareDatabase(env: Environment): Promise<void> {
  await runRecoup(['migrate'], env);
  await runRecoup(['channels', 'import', example('channels.demo.yaml')], env);
}

async function startApi(stage: Stage): Promise<string> {
  const env = { ...stage.env, RECOUP_HTTP_PORT: '0' };
  const daemon = Daemon.start('api', ['serve'], env, stage.folder);
  stage.daemons.push(daemon);
  const { url } = await daemon.ready<{ url: string }>();
  await stage.witness.callBackTo(`${url}/callbacks/unionlink`);
  say(`API at ${url}`);
  return url;
}

async function loadBatch(env: Environment): Promise<Batch> {
  const { batch } = await runRecoup<{
    batch: { id: string; rows_total: number; rows_rejected: number };
  }>(['batch', 'run', options.file, '--no-wait'], env);
  const goodRows = batch.rows_total - batch.rows_rejected;
  say(`batch loaded: ${batch.rows_total} rows, ${batch.rows_rejected} of them rejected`);
  return { id: batch.id, goodRows };
}

async function findOut(
  { database, witness }: Stage,
  batch: Batch,
  day: Day,
  evening: Evening,
): Promise<Findings> {
  const evidence = await database.evidence(await witness.book(), day.stuck === null);
  const { log, deductions } = evidence;
  const [kill] = day.kills;
  const statusOf = new Map(deductions.map(({ id, status }) => [id, status]));
  const orders = [...readLogs(log).values()].flatMap((story) => [...story.orders.values()]);
  return {
    evidence,
    verdict: judge(evidence, day.early),
    day,
    evening,
    failovers: failovers(log),
    unknowns: unknowns(log),
    resumed: resumed(kill?.held ?? [], kill?.instanceId ?? '', log, statusOf),
    channels: byChannel(orders),
    failures: await database.failureCodes(),
    rejected: await database.rejectedRows(batch.id),
    callbacks: await witness.callbacks(),
    faults: await witness.faultsThatStruck(),
    seconds: seconds(),
  };
}

function tell(
  story: string,
  wrong: readonly string[],
  kept: readonly string[],
  result: object,
): void {
  const text = [story, ...wrong.map((one) => `WRONG: ${one}`), ...kept];
  // With --json the story goes to stderr: stdout ends in one JSON object and holds nothing else.
  const stream = options.json === true ? process.stderr : process.stdout;
  stream.write(`${text.join('\n')}\n`);
  if (options.json === true) process.stdout.write(`${JSON.stringify(result)}\n`);
}

async function keptLines(
  { api, sandbox, env }: Kept,
  folder: string,
  daemons: readonly Daemon[],
): Promise<string[]> {
  const envFile = join(folder, 'demo.env');
  const variables = Object.entries(env).filter(
    ([name]) => name.startsWith('RECOUP_') && !name.startsWith('RECOUP_RUN_'),
  );
  const exports = variables.map(([name, value]) => `export ${name}='${value}'`);
  writeFileSync(envFile, `${exports.join('\n')}\n`, { mode: 0o600 });
  const create = ['keys', 'create', '--name', 'demo', '--role'];
  const operator = await runRecoup<{ key: string }>([...create, 'operator'], env);
  const app = await runRecoup<{ key: string }>([...create, 'app'], env);
  const pids = daemons.filter((daemon) => !daemon.ended).map(({ pid }) => pid);
  const stop = process.env['RECOUP_RUN_DIR'] === undefined ? `kill ${pids.join(' ')}` : 'npm stop';
  return [
    '',
    'Still running:',
    `  API      ${api}`,
    `  docs     ${api}/docs`,
    `  keys     ${operator.key} (operator)`,
    `           ${app.key} (app)`,
    `  sandbox  ${sandbox} (the book: ${sandbox}/_book)`,
    `  command  . ${envFile} && node dist/src/cli.js list`,
    `  logs     ${folder}`,
    `  to stop: ${stop}`,
  ];
}

/** The run script's folder, removed with it; else one of our own. */
function workFolder(): string {
  const runDir = process.env['RECOUP_RUN_DIR'];
  if (runDir === undefined) return mkdtempSync(join(tmpdir(), 'recoup-demo-'));
  const folder = join(runDir, `demo-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const { message = String(error), details } = error as Partial<RecoupError>;
    const more = details === undefined ? '' : ` ${JSON.stringify(details)}`;
    process.stderr.write(`demo: ${message}${more}\n`);
    if (options.json === true) process.stdout.write(`${JSON.stringify({ error: message })}\n`);
    process.exitCode = 1;
  },
);
