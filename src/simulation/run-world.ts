import { isDeepStrictEqual } from 'node:util';
import { assertNever } from '../assert.js';
import { fold } from '../engine/flow.js';
import { operationOf } from '../engine/order.js';
import { taskFlow, type Task } from '../engine/tasks.js';
import type { Evidence, LogRow } from '../oracle/evidence.js';
import { judge } from '../oracle/judge.js';
import { attemptRow, caseRow, deductionRow } from '../store/projections.js';
import { refundRow } from '../store/refund-rows.js';
import type { Row } from '../store/rows.js';
import { topUpRow } from '../store/top-up-rows.js';
import { withdrawalRow } from '../store/withdrawal-rows.js';
import { hashText, mix } from './chance.js';
import type { FaultId } from './faults.js';
import { evenMix, type Mix } from './flow-plan.js';
import type { MemoryDatabase } from './memory-database.js';
import { givingBack } from './giving-back.js';
import { judgeRequests } from './refund-clerks.js';
import { World, type Happened, type WorldOptions, type WorldViolation } from './world.js';

export interface WorldResult {
  readonly seed: number;
  readonly mix: Mix;
  readonly tasks: Readonly<Record<'deductions' | 'withdrawals' | 'top_ups' | 'refunds', number>>;
  /** Tasks, but for refunds, that at least one fault struck. */
  readonly tasksHit: number;
  readonly faults: readonly FaultId[];
  readonly events: number;
  readonly virtualMs: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly doubledByChannel: number;
  readonly violations: readonly WorldViolation[];
  /** Tasks that neither ended nor came before a person, although faults had stopped. */
  readonly unresolved: readonly string[];
  readonly digest: number;
  readonly story: readonly Happened[];
  readonly database: MemoryDatabase;
}

export async function runWorld(options: WorldOptions): Promise<WorldResult> {
  const world = new World(options);
  const startMs = world.time.nowMs;
  await world.live();
  const { database } = world;
  const { deductions, refunds, flows } = database;
  const unresolved = [deductions, refunds, flows.withdrawals, flows.topUps]
    .flatMap((table) => [...table.values()])
    .filter((row) => row['status'] === 'processing')
    .map((row) => String(row['id']));
  unresolved.push(...givingBack(database));
  if (world.callers > 0) unresolved.push(`${world.callers} callers without a word`);
  const verdict = judge(evidenceOf(world));
  const violations = [
    ...world.violations,
    ...verdict.violations,
    ...foldedOtherwise(world),
    ...judgeRequests(world),
  ];
  const statuses: Record<string, number> = {};
  const tasks = [deductions, flows.withdrawals, flows.topUps].flatMap((one) => [...one.values()]);
  for (const row of tasks) {
    const status = String(row['status']);
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
  return {
    seed: options.seed,
    mix: options.mix ?? evenMix,
    tasks: {
      deductions: deductions.size,
      withdrawals: flows.withdrawals.size,
      top_ups: flows.topUps.size,
      refunds: refunds.size,
    },
    tasksHit: tasks.filter(({ id }) =>
      world.faults.tasksHit.has(Number.parseInt(String(id).slice(-8), 16)),
    ).length,
    faults: world.faults.struck,
    events: world.time.events,
    virtualMs: world.time.nowMs - startMs,
    statuses,
    doubledByChannel: verdict.doubledByChannel.length,
    violations,
    unresolved,
    digest: digestOf(world),
    story: world.story,
    database,
  };
}

type Withdrawals = NonNullable<Evidence['withdrawals']>;
type TopUps = NonNullable<Evidence['topUps']>;
type MemberEntries = NonNullable<Evidence['memberEntries']>;

export function evidenceOf(world: World): Evidence {
  const { database } = world;
  const log: LogRow[] = [];
  for (const [taskId, rows] of database.log) {
    for (const { seq, writer, entry } of rows) {
      const { kind, atMs } = entry;
      log.push({ taskId, seq, kind, atMs, writer, body: entry as LogRow['body'] });
    }
  }
  return {
    log,
    books: [...world.channels.values()].flatMap((channel) =>
      [...channel.book.values()].map(
        ({ orderNo, state, order, captures, refunds, startedAtMs }) => ({
          channelId: channel.id,
          orderNo,
          operation: operationOf(order),
          regarding: order.regarding?.orderNo ?? null,
          startedAtMs,
          state,
          amountMinor: order.amountMinor,
          captures,
          refunds,
        }),
      ),
    ),
    deductions: [...database.deductions.values()] as unknown as Evidence['deductions'],
    attempts: [...database.attempts.values()].flat().map((row) => {
      const capture = database.captures.get(`${row['task_id']} ${row['attempt_no']}`);
      const { credited = 0n, refund = 0n } = capture ?? {};
      return { ...row, credited_minor: credited, refund_minor: refund };
    }) as unknown as Evidence['attempts'],
    refunds: [...database.refunds.values()] as unknown as Evidence['refunds'],
    cases: [...database.cases.values()].flat() as unknown as Evidence['cases'],
    inFlight: [...database.inFlight.values()] as unknown as Evidence['inFlight'],
    repayments: [...database.repayments.values()].map(({ facts, paid, collecting }) => ({
      id: facts.id,
      due_minor: facts.dueMinor,
      paid_minor: paid,
      collecting_minor: collecting,
    })),
    withdrawals: [...database.flows.withdrawals.values()] as unknown as Withdrawals,
    topUps: [...database.flows.topUps.values()] as unknown as TopUps,
    members: [...database.flows.members.values()].map(({ id, currency, balance }) => ({
      id,
      currency,
      balance_minor: balance,
    })),
    memberEntries: [...database.flows.memberEntries.values()] as unknown as MemberEntries,
    outbox: [...database.outbox.values()] as unknown as Evidence['outbox'],
    posted: world.books.posted,
    deadLetters: world.books.deadLetters(),
    quiet: true,
  };
}

/** Folding the log with the engine's own fold gives the rows that the appends left, to the letter. */
function foldedOtherwise({ database, zone }: World): WorldViolation[] {
  const found: WorldViolation[] = [];
  const differ = (about: string, what: string): void =>
    void found.push({
      kind: 'tables_differ',
      about,
      detail: `${what} is not what the log folds to`,
    });
  for (const [taskId, rows] of database.log) {
    const state = fold(
      taskFlow,
      rows.map((row) => row.entry),
    );
    if (state === null) continue;
    const [table, row] = rowOf(state, database);
    const kept = table.get(taskId) ?? {};
    for (const [column, value] of Object.entries(row)) {
      if (kept[column] !== value) differ(taskId, `${state.kind}.${column}`);
    }
    const attempts = state.attempts.map((one) => attemptRow(state, one, zone));
    if (!isDeepStrictEqual(database.attempts.get(taskId) ?? [], attempts)) {
      differ(taskId, 'attempt');
    }
    const cases = state.cases.map((one) => caseRow(state, one));
    if (!isDeepStrictEqual(database.cases.get(taskId) ?? [], cases)) differ(taskId, 'review_case');
  }
  return found;
}

function rowOf(state: Task, database: MemoryDatabase): readonly [ReadonlyMap<string, Row>, Row] {
  switch (state.kind) {
    case 'deduction':
      return [database.deductions, deductionRow(state)];
    case 'refund':
      return [database.refunds, refundRow(state)];
    case 'withdrawal':
      return [database.flows.withdrawals, withdrawalRow(state)];
    case 'top_up':
      return [database.flows.topUps, topUpRow(state)];
    default:
      return assertNever(state);
  }
}

function digestOf(world: World): number {
  let digest = world.digest;
  const add = (text: string): void => void (digest = mix(digest, hashText(text)));
  for (const [taskId, rows] of world.database.log) {
    for (const { entry, writer } of rows) add(`${taskId} ${entry.kind} ${entry.atMs} ${writer}`);
  }
  for (const channel of world.channels.values()) {
    for (const { orderNo, state, captures } of channel.book.values()) {
      add(`${orderNo} ${state} ${captures.length}`);
    }
  }
  return digest;
}
