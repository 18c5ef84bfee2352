/** `npm run demo -- --flows`: deductions, withdrawals and top-ups together. docs/demo.md says what to look at. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { judge, readLogs } from '../../oracle/index.js';
import { OurDatabase } from '../our-books.js';
import { runRecoup, type Daemon, type Environment } from '../processes.js';
import { resumed } from '../story.js';
import type { Corner } from '../surroundings.js';
import { Caller, deposits } from './callers.js';
import { example, importProfiles, makeKey, readBooks, startParties } from './parties.js';
import type { FlowFindings } from './report.js';
import { flowsEnv, liveThroughFlows, startNode, type FlowStage, type Node } from './scenario.js';

export interface FlowOptions {
  /** Tasks of each flow. */
  readonly each: number;
  readonly seed: string;
  readonly latencyScale: string;
  readonly deadlineMs: number;
  readonly seconds: () => number;
  readonly say: (what: string) => void;
}

export async function runFlows(
  corner: Corner,
  folder: string,
  daemons: Daemon[],
  options: FlowOptions,
): Promise<FlowFindings> {
  const { say, deadlineMs, each } = options;
  const base: Environment = { ...process.env, ...corner.env, ...flowsEnv };
  const { seed, latencyScale } = options;
  const [{ books, env: others }] = await Promise.all([
    startParties(base, folder, daemons, { seed, latencyScale, topUps: each }),
    runRecoup(['migrate'], base),
  ]);
  const env = { ...base, ...others };
  const database = new OurDatabase(corner.databaseUrl);
  try {
    const stage = { database, books, corner, env, folder, daemons, say, deadlineMs };
    await importProfiles(env);
    say('channels, card system and account service, each with a book and faults of its own');
    const [victim, other] = await Promise.all([
      startNode(stage, 'node-1'),
      startNode(stage, 'node-2'),
    ]);
    await books.channels.callBackTo(`${other.url}/callbacks/unionlink`);
    say(`two processes with API and worker: ${victim.instanceId}, ${other.instanceId}`);
    const caller = await openCaller([victim, other], env, each);
    const { batch } = await runRecoup<{ batch: { id: string } }>(
      ['batch', 'run', dueFile(folder, each), '--no-wait'],
      env,
    );
    const wanted = { batchId: batch.id, each };
    const day = await liveThroughFlows(stage, caller, victim, wanted);
    say(day.stuck === null ? 'nothing is left; comparing the books' : 'time is over');
    return await findOut(stage, day, caller, options);
  } finally {
    await database.close();
  }
}

async function openCaller(nodes: readonly Node[], env: Environment, each: number): Promise<Caller> {
  const [app, operator] = await Promise.all([
    makeKey(env, 'app', 'demo'),
    makeKey(env, 'operator', 'demo'),
  ]);
  const up = () => nodes.filter(({ daemon }) => !daemon.ended).map(({ url }) => url);
  const caller = new Caller(up, { app, operator });
  for (const [member, amountMinor] of deposits(each)) {
    await caller.openMember(member);
    await caller.deposit(member, `dp_${member}`, Math.max(1, amountMinor));
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
  { told, refused }: Caller,
  { seconds }: FlowOptions,
): Promise<FlowFindings> {
  const { database, books } = stage;
  const read = await database.evidence(await readBooks(books), day.stuck === null);
  const evidence = { ...read, told };
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
    refused,
    resumed: { tasks: carriedOn.tasks, midCall: carriedOn.midCall },
    cases: await database.openCases(),
    faults: struck.reduce((sum, one) => sum + one, 0),
    seconds: seconds(),
  };
}
