/** The day itself: two workers, one killed in mid-call, Redis emptied once, until nothing is left. */
import { sentUnannounced, type Violation } from '../oracle/index.js';
import type { HeldTask, OurDatabase } from './our-books.js';
import { Daemon, pause, type Environment } from './processes.js';
import type { Corner } from './surroundings.js';
import type { Witness } from './witness.js';

/** Times that are minutes in production and seconds here; the report says so. */
export const shortened = {
  RECOUP_COMPENSATOR_INTERVAL_MS: '1000',
  /** Not less than the lease: a sweep must not come while a dead worker's locks still hold. */
  RECOUP_COMPENSATOR_AGE_MS: '5000',
  /** Longer than the longest call and its margin. */
  RECOUP_LOCK_LEASE_MS: '5000',
  RECOUP_BATCH_CLAIM_MS: '8000',
  /** What was on its way to the ledger when Redis was emptied is sent again after this. */
  RECOUP_LEDGER_CONFIRM_MS: '5000',
} as const;

/** Few at a time, so that there is something to see and to kill. */
export const pace = { RECOUP_BATCH_IN_FLIGHT: '32' } as const;

const killAtShare = 0.3;
const flushAtShare = 0.6;
const replaceAfterMs = 1_500;
const lookMs = 50;
/** After the last outcome: whatever a channel still does late would show by then. */
const aftermathMs = 3_000;

export interface Stage {
  readonly database: OurDatabase;
  readonly witness: Witness;
  readonly corner: Corner;
  readonly env: Environment;
  readonly folder: string;
  readonly daemons: Daemon[];
  readonly say: (what: string) => void;
  readonly deadlineMs: number;
}

export interface Batch {
  readonly id: string;
  /** Rows that were not rejected when the file was read. */
  readonly goodRows: number;
}

export interface Kill {
  readonly instanceId: string;
  readonly held: readonly HeldTask[];
}

export interface Day {
  readonly kills: readonly Kill[];
  readonly flushes: number;
  /** What was wrong in the middle of the day. */
  readonly early: readonly Violation[];
  /** Null when everything came to an end; else what did not. */
  readonly stuck: string | null;
}

export interface Worker {
  readonly daemon: Daemon;
  readonly instanceId: string;
}

export async function startWorker(stage: Stage, name: string): Promise<Worker> {
  const daemon = Daemon.start(name, ['worker', '--id', name], stage.env, stage.folder);
  stage.daemons.push(daemon);
  const { instance_id: instanceId } = await daemon.ready<{ instance_id: string }>();
  return { daemon, instanceId };
}

export async function liveThroughIt(stage: Stage, batch: Batch, victim: Worker): Promise<Day> {
  const { say } = stage;
  let kill: Kill | null = null;
  let flushes = 0;
  const early: Violation[] = [];
  if (await startedShare(stage, batch, killAtShare)) {
    kill = await killInMidCall(stage, batch, victim);
    early.push(...(await findEarly(stage)));
    if (kill === null) say('no moment was found to kill a worker in mid-call');
    else await pause(replaceAfterMs);
    const replacement = await startWorker(stage, 'worker-3');
    say(`${replacement.instanceId} takes the place of ${victim.instanceId}`);
  }
  if (await startedShare(stage, batch, flushAtShare)) {
    const waiting = await stage.database.waiting();
    const keys = await stage.corner.flushRedis();
    flushes = 1;
    early.push(...(await findEarly(stage)));
    say(`Redis emptied: ${keys} keys gone, ${waiting} tasks had been waiting for something`);
  }
  const stuck = await untilNothingIsLeft(stage, batch);
  if (stuck === null) await pause(aftermathMs);
  return { kills: kill === null ? [] : [kill], flushes, early, stuck };
}

/** False when the time is over. */
async function startedShare(stage: Stage, batch: Batch, share: number): Promise<boolean> {
  while (performance.now() < stage.deadlineMs) {
    const { deductions } = await stage.database.counts(batch.id);
    const { pending } = await stage.database.batch(batch.id);
    // Rows that nobody can take are rejected on the way; a file of them would never get anywhere.
    if (deductions >= batch.goodRows * share || pending === 0) return true;
    await pause(lookMs);
  }
  return false;
}

/**
 * SIGKILL at a moment when the log shows calls of the victim under way: it is stopped first, so that
 * what is seen is still so when it dies.
 */
async function killInMidCall(stage: Stage, batch: Batch, victim: Worker): Promise<Kill | null> {
  const { database, say } = stage;
  const { instanceId, daemon } = victim;
  for (let looks = 1; performance.now() < stage.deadlineMs && !daemon.ended; looks += 1) {
    daemon.signal('SIGSTOP');
    const held = await database.heldBy(instanceId);
    const midCall = held.filter((task) => task.midCall).length;
    // A commit that the server has begun may still end one of them: better two than one.
    if (midCall >= (looks < 40 ? 2 : 1)) {
      daemon.signal('SIGKILL');
      while (!daemon.ended) await pause(5);
      return await countAtDeath(stage, batch, victim);
    }
    daemon.signal('SIGCONT');
    if ((await database.batch(batch.id)).state === 'done') return null;
    await pause(lookMs);
  }
  say(`${instanceId} ended before it could be killed:\n${daemon.lastWords()}`);
  return null;
}

/** The book first: what it holds must have been announced before it was sent. */
async function findEarly({ witness, database }: Stage): Promise<readonly Violation[]> {
  const book = await witness.book();
  return sentUnannounced(book, await database.intents());
}

async function countAtDeath({ database, say }: Stage, batch: Batch, victim: Worker): Promise<Kill> {
  // Read again, now that no commit of its can still be on its way but those the server has begun.
  const held = await database.heldBy(victim.instanceId);
  const midCall = held.filter((task) => task.midCall).length;
  const { deductions } = await database.counts(batch.id);
  const share = Math.round((100 * deductions) / batch.goodRows);
  say(
    `${victim.instanceId} killed (SIGKILL) at ${share} %: ${held.length} deductions in its hands, ` +
      `${midCall} of them between an intent and its answer`,
  );
  return { instanceId: victim.instanceId, held };
}

async function untilNothingIsLeft(stage: Stage, batch: Batch): Promise<string | null> {
  let toldAtMs = performance.now();
  for (;;) {
    const { state, pending } = await stage.database.batch(batch.id);
    const { deductions, inFlight, waitingForReview } = await stage.database.counts(batch.id);
    if (state === 'done' && inFlight === 0) return null;
    const where =
      `${deductions} of ${batch.goodRows} started, ${inFlight} without an outcome, ` +
      `${waitingForReview} for a person, ${pending} rows to start`;
    if (performance.now() > stage.deadlineMs) {
      return `batch ${state}: ${where}\n${await stage.database.stuckTasks()}`;
    }
    if (performance.now() - toldAtMs > 5_000) {
      toldAtMs = performance.now();
      stage.say(where);
    }
    await pause(100);
  }
}
