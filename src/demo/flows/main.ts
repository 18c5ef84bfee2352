/** `npm run demo -- --flows`: deductions, withdrawals and top-ups together. docs/demo.md says what to look at. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { judge, readLogs } from '../../oracle/index.js';
import { OurDatabase } from '../our-books.js';
import { Daemon, runRecoup, type Environment } from '../processes.js';
import { resumed } from '../story.js';
import type { Corner } from '../surroundings.js';
import { Witness } from '../witness.js';
import { cardFaults } from './bad-day.js';
import { Caller, deposits, members, serviceAccounts } from './callers.js';
import type { FlowFindings } from './report.js';
import {
  flowsEnv,
  liveThroughFlows,
  readBooks,
  startNode,
  type FlowStage,
  type Node,
} from './scenario.js';

export interface FlowOptions {
  /** Tasks of each flow. */
  readonly each: number;
  readonly seed: string;
  readonly latencyScale: string;
  readonly deadlineMs: number;
  readonly seconds: () => number;
  readonly say: (what: string) => void;
}

interface SandboxReady {
  readonly admin: string;
  readonly env: Readonly<Record<string, string>>;
}

const example = (name: string): string =>
  fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));

export async function runFlows(
  corner: Corner,
  folder: string,
  daemons: Daemon[],
  options: FlowOptions,
): Promise<FlowFindings> {
  const { say, deadlineMs, each } = options;
  const base: Environment = { ...process.env, ...corner.env, ...flowsEnv };
  const sandbox = async (role: string): Promise<SandboxReady> =>
    await startSandbox(role, base, folder, daemons, options);
  const [channels, cards, accounts] = await Promise.all([
    sandbox('channels'),
    sandbox('cards'),
    sandbox('accounts'),
    runRecoup(['migrate'], base),
  ]);
  const env = { ...base, ...channels.env, ...cards.env, ...accounts.env };
  const books = {
    channels: new Witness(channels.admin),
    cards: new Witness(cards.admin),
    accounts: new Witness(accounts.admin),
  };
  const database = new OurDatabase(corner.databaseUrl);
  try {
    const stage = { database, books, corner, env, folder, daemons, say, deadlineMs };
    await prepare(stage, each);
    say('channels, card system and account service, each with a book and faults of its own');
    const [victim, other, keys] = await Promise.all([
      startNode(stage, 'node-1'),
      startNode(stage, 'node-2'),
      makeKeys(env),
    ]);
    await books.channels.callBackTo(`${other.url}/callbacks/unionlink`);
    say(`two processes with API and worker: ${victim.instanceId}, ${other.instanceId}`);
    const caller = await openCaller([victim, other], keys, each);
    const { batch } = await runRecoup<{ batch: { id: string } }>(
      ['batch', 'run', dueFile(folder, each), '--no-wait'],
      env,
    );
    const wanted = { batchId: batch.id, each };
    const day = await liveThroughFlows(stage, caller, victim, wanted);
    say(day.stuck === null ? 'nothing is left; comparing the books' : 'time is over');
    return await findOut(stage, day, options);
  } finally {
    await database.close();
  }
}

async function startSandbox(
  role: string,
  env: Environment,
  folder: string,
  daemons: Daemon[],
  { seed, latencyScale }: FlowOptions,
): Promise<SandboxReady> {
  const args = ['sandbox', '--role', role, '--book', join(folder, role), '--seed', seed];
  args.push('--faults', 'realistic', '--latency-scale', latencyScale);
  const daemon = Daemon.start(role, args, env, folder);
  daemons.push(daemon);
  return await daemon.ready<SandboxReady>();
}

async function prepare(
  { env, books }: Pick<FlowStage, 'env' | 'books'>,
  each: number,
): Promise<void> {
  const profiles = ['channels.demo.yaml', 'parties.demo.yaml'];
  await Promise.all(
    profiles.map(async (name) => runRecoup(['channels', 'import', example(name)], env)),
  );
  await books.accounts.setBalances('accounts', serviceAccounts);
  await books.cards.addFaults(cardFaults(each));
}

interface Keys {
  readonly app: string;
  readonly operator: string;
}

async function makeKeys(env: Environment): Promise<Keys> {
  const make = async (role: string): Promise<string> => {
    const args = ['keys', 'create', '--name', 'demo', '--role', role];
    return (await runRecoup<{ key: string }>(args, env)).key;
  };
  const [app, operator] = await Promise.all([make('app'), make('operator')]);
  return { app, operator };
}

async function openCaller(nodes: readonly Node[], keys: Keys, each: number): Promise<Caller> {
  const apis = nodes.map(({ url, daemon }) => ({ url, up: () => !daemon.ended }));
  const caller = new Caller(apis, keys);
  const amounts = deposits(each);
  for (const member of members) {
    await caller.prepare('/v1/members', { id: member, currency: 'CNY' });
    const amount = { deposit_id: `dp_${member}`, amount_minor: amounts.get(member) ?? 1 };
    await caller.prepare(`/v1/members/${member}/deposits`, { ...amount, currency: 'CNY' });
  }
  return caller;
}

/** The first of the example's rows. */
function dueFile(folder: string, rows: number): string {
  const lines = readFileSync(example('due-repayments.csv'), 'utf8').split('\n');
  const file = join(folder, 'due.csv');
  writeFileSync(file, `${lines.slice(0, rows + 1).join('\n')}\n`, { mode: 0o600 });
  return file;
}

async function findOut(
  stage: FlowStage,
  day: FlowFindings['day'],
  { seconds }: FlowOptions,
): Promise<FlowFindings> {
  const { database, books } = stage;
  const evidence = await database.evidence(await readBooks(stage), day.stuck === null);
  const { kill } = day;
  const carriedOn = resumed(kill?.held ?? [], kill?.instanceId ?? '', evidence.log, new Map());
  const struck = await Promise.all(
    Object.values(books).map(async (witness) => witness.faultsThatStruck()),
  );
  return {
    evidence,
    stories: readLogs(evidence.log),
    verdict: judge(evidence, day.early),
    day,
    resumed: { tasks: carriedOn.tasks, midCall: carriedOn.midCall },
    cases: await database.openCases(),
    faults: struck.reduce((sum, one) => sum + one, 0),
    seconds: seconds(),
  };
}
