/**
 * The rows of happy deductions, as the real executor and the real projections make them, without
 * writing them: what a bare script must commit in order to have done the same.
 */
import { systemClock } from '../src/clock.js';
import { deductionFlow, type DeductionState } from '../src/engine/deduction.js';
import { encodeEntry } from '../src/engine/entries.js';
import { Executor } from '../src/engine/executor.js';
import type { Append } from '../src/engine/journal.js';
import { DeductionDesk } from '../src/intake/deduction-desk.js';
import type { Repayment } from '../src/intake/repayment.js';
import { silentLog } from '../src/log.js';
import type { LiveRouter } from '../src/routing/live-router.js';
import { sqlTime } from '../src/store/database.js';
import { project, type Row } from '../src/store/projections.js';
import { inProcess } from './channels.js';
import { requestFor } from './due.js';

/** One commit of one deduction: table -> its rows, by what becomes of them. */
export interface Commit {
  readonly inserts: Readonly<Record<string, readonly Row[]>>;
  readonly updates: Readonly<Record<string, readonly Row[]>>;
  readonly deletes: Readonly<Record<string, readonly Row[]>>;
}

const zone = 'Asia/Shanghai';

/** The two commits of each deduction. */
export async function rowsOf(
  router: LiveRouter,
  due: readonly Repayment[],
): Promise<readonly (readonly Commit[])[]> {
  const commits = new Map<string, Commit[]>();
  const executor = new Executor<DeductionState>(
    {
      flow: deductionFlow,
      journal: {
        load: async () => null,
        loadAfter: async () => [],
        append: async (append) => {
          const before = commits.get(append.taskId) ?? [];
          commits.set(append.taskId, [...before, commitOf(append)]);
        },
      },
      locks: {
        acquire: async () => ({
          remainingMs: () => 60_000,
          extend: async () => undefined,
          release: async () => undefined,
        }),
      },
      channels: inProcess(0)({ get: () => undefined }),
      router,
      wakeUps: { schedule: async () => undefined },
      clock: systemClock,
      log: silentLog,
    },
    { executorId: 'bench', leaseMarginMs: 2_000, lockWaitMs: 0 },
  );
  const reads = { repayment: nothing, byRequest: nothing, liveOn: nothing };
  const desk = new DeductionDesk(reads, router, executor, systemClock, {
    attemptWindowMs: 86_400_000,
  });
  for (const repayment of due) {
    await (
      await desk.start(requestFor(repayment), repayment)
    ).finished;
  }
  return [...commits.values()];
}

const nothing = async (): Promise<null> => null;

function commitOf(append: Append<DeductionState>): Commit {
  const log = append.entries.map((entry, index) => ({
    task_id: append.taskId,
    seq: append.afterSeq + index + 1,
    kind: entry.kind,
    at: sqlTime(entry.atMs),
    writer: append.writer,
    body: encodeEntry(entry),
  }));
  const rows = project(append, zone);
  return {
    inserts: {
      execution_log: log,
      deduction: present(rows.deductionInsert),
      attempt: rows.attemptInserts,
      in_flight: present(rows.inFlightInsert),
      outbox: rows.outbox,
    },
    updates: {
      deduction: present(rows.deductionUpdate),
      attempt: rows.attemptUpdates,
      in_flight: present(rows.inFlightUpdate),
      repayment: present(rows.repaymentDelta),
    },
    deletes: { in_flight: present(rows.inFlightDelete) },
  };
}

const present = (row: Row | null): readonly Row[] => (row === null ? [] : [row]);
