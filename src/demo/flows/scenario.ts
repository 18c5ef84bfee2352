/** The three flows in one minute: two processes, one killed in mid-call, Redis emptied once, until nothing is left. */
import { sentUnannounced, type Violation } from '../../oracle/index.js';
import type { HeldTask, OurDatabase } from '../our-books.js';
import { Daemon, pause, type Environment } from '../processes.js';
import { shortened } from '../scenario.js';
import type { Corner } from '../surroundings.js';
import { topUp, withdrawal, type Ask, type Caller } from './callers.js';
import { readBooks, type Books } from './parties.js';

/** Times that are minutes and hours in production and seconds here; the report says so. */
export const flowTimes = {
  /** How long a credit that is not confirmed is insisted on. */
  RECOUP_SETTLEMENT_AGE_MS: '4000',
  RECOUP_SETTLEMENT_INTERVAL_MS: '1000',
  RECOUP_TOP_UP_PAY_WINDOW_MS: '15000',
} as const;
export const flowsEnv = { ...shortened, ...flowTimes, RECOUP_BATCH_IN_FLIGHT: '8' } as const;

const killAtShare = 0.35;
const flushAtShare = 0.65;
const replaceAfterMs = 1_500;
/** Requests of one flow under way at once, and the pause after each. */
const lanes = 6;
const thinkMs = 350;
/** After the last outcome: whatever a card system still does late would show by then. */
const aftermathMs = 4_000;

export interface FlowStage {
  readonly database: OurDatabase;
  readonly books: Books;
  readonly corner: Corner;
  readonly env: Environment;
  readonly folder: string;
  readonly daemons: Daemon[];
  readonly say: (what: string) => void;
  readonly deadlineMs: number;
}

export interface Node {
  readonly daemon: Daemon;
  readonly instanceId: string;
  readonly url: string;
}

export interface FlowKill {
  readonly instanceId: string;
  readonly held: readonly HeldTask[];
}

export interface FlowDay {
  readonly kill: FlowKill | null;
  readonly flushes: number;
  readonly early: readonly Violation[];
  /** Null when everything came to an end; else what did not. */
  readonly stuck: string | null;
}

/** A worker that serves the API, too: what is killed then holds tasks of every flow. */
export async function startNode(stage: FlowStage, name: string): Promise<Node> {
  const env = { ...stage.env, RECOUP_HTTP_PORT: '0' };
  const daemon = Daemon.start(name, ['serve', '--worker'], env, stage.folder);
  stage.daemons.push(daemon);
  const ready = await daemon.ready<{ url: string; instance_id: string }>();
  return { daemon, url: ready.url, instanceId: ready.instance_id };
}

export async function liveThroughFlows(
  stage: FlowStage,
  caller: Caller,
  victim: Node,
  wanted: { readonly batchId: string; readonly each: number },
): Promise<FlowDay> {
  const { say, corner } = stage;
  const progress = { said: 0, of: wanted.each * 2, failed: false };
  const asking = Promise.all([
    askAll(stage, caller, withdrawal, wanted.each, progress),
    askAll(stage, caller, topUp, wanted.each, progress),
  ]);
  // Watched all the while: what fails here must not wait for the end to be heard.
  asking.catch(() => (progress.failed = true));
  const reached = async (share: number): Promise<void> => {
    while (!progress.failed && progress.said < progress.of * share && inTime(stage)) {
      await pause(20);
    }
  };
  const early: Violation[] = [];
  await reached(killAtShare);
  const kill = await killInMidCall(stage, victim);
  early.push(...(await findEarly(stage)));
  await pause(replaceAfterMs);
  const replacement = await startNode(stage, 'node-3');
  say(`${replacement.instanceId} takes the place of ${victim.instanceId}`);
  await reached(flushAtShare);
  const waiting = await stage.database.waiting();
  const keys = await corner.flushRedis();
  early.push(...(await findEarly(stage)));
  say(`Redis emptied: ${keys} keys gone, ${waiting} tasks had been waiting for something`);
  await asking;
  const stuck = await untilNothingIsLeft(stage, wanted.batchId);
  if (stuck === null) await pause(aftermathMs);
  return { kill, flushes: 1, early, stuck };
}

const inTime = ({ deadlineMs }: FlowStage): boolean => performance.now() < deadlineMs;

async function askAll(
  stage: FlowStage,
  caller: Caller,
  make: (index: number) => Ask,
  count: number,
  progress: { said: number },
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count && inTime(stage)) {
      const index = next;
      next += 1;
      await caller.ask(make(index));
      progress.said += 1;
      await pause(thinkMs);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/**
 * SIGKILL at a moment when the log shows the victim between an intent and its answer, in a withdrawal
 * and in a top-up where that comes soon: it is stopped first, so that what is seen is still so when it dies.
 */
async function killInMidCall(stage: FlowStage, victim: Node): Promise<FlowKill | null> {
  const { database, say } = stage;
  const { instanceId, daemon } = victim;
  for (let looks = 1; inTime(stage) && !daemon.ended; looks += 1) {
    daemon.signal('SIGSTOP');
    const midCall = (await database.heldBy(instanceId)).filter((task) => task.midCall);
    const kinds = new Set(midCall.map(({ kind }) => kind));
    const flows = Number(kinds.has('withdrawal')) + Number(kinds.has('top_up'));
    if (midCall.length > 0 && flows >= (looks < 60 ? 2 : looks < 120 ? 1 : 0)) {
      daemon.signal('SIGKILL');
      while (!daemon.ended) await pause(5);
      // Read again, now that no commit of its can still be on its way but those the server has begun.
      const held = await database.heldBy(instanceId);
      const count = held.filter((task) => task.midCall).length;
      say(
        `${instanceId} killed (SIGKILL): ${held.length} tasks in its hands, ${count} in mid-call`,
      );
      return { instanceId, held };
    }
    daemon.signal('SIGCONT');
    await pause(40);
  }
  say(`no moment was found to kill ${instanceId} in mid-call`);
  return null;
}

async function findEarly(stage: FlowStage): Promise<readonly Violation[]> {
  const books = await readBooks(stage.books);
  return sentUnannounced(books, await stage.database.intents());
}

async function untilNothingIsLeft(stage: FlowStage, batchId: string): Promise<string | null> {
  let toldAtMs = performance.now();
  for (;;) {
    const { state } = await stage.database.batch(batchId);
    const left = await stage.database.underWay();
    const unposted = await stage.database.unposted();
    if (state === 'done' && left.length === 0 && unposted === 0) return null;
    const tasks = left.map(({ kind, count }) => `${count} of ${kind}`);
    const where = [...tasks, `${unposted} messages to the ledger`].join(', ');
    if (!inTime(stage)) return `batch ${state}; ${where}\n${await stage.database.stuckTasks()}`;
    if (performance.now() - toldAtMs > 5_000) {
      toldAtMs = performance.now();
      stage.say(`not at an end: ${where}`);
    }
    await pause(100);
  }
}
