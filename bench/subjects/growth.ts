/** What is asked again and again, over as many rows of history as the argument says. */
import type { Services } from '../../src/composition/root.js';
import { loadConfig } from '../../src/config.js';
import { newTaskId } from '../../src/ids.js';
import type { Repayment } from '../../src/intake/repayment.js';
import { silentLog } from '../../src/log.js';
import { CaseStore } from '../../src/store/case-book.js';
import { openDatabase, sqlTime, type Database } from '../../src/store/database.js';
import { SqlInFlightLog } from '../../src/store/in-flight.js';
import { businessDate } from '../../src/business-date.js';
import { channelMs, inProcess, inProcessProfiles, openRecoup } from '../channels.js';
import { registered, requestFor } from '../due.js';
import { writeHistory } from '../history.js';
import { serve, type Subject } from '../subject.js';

const claimedAtOnce = 100;

type Probe = (index: number) => Promise<number>;

async function open(): Promise<Subject> {
  const { migrationUrl } = loadConfig(process.env);
  const owner = openDatabase(migrationUrl, 1, silentLog, { silentMs: null });
  await writeHistory(owner, Number(process.argv[2] ?? 0));
  const services = await openRecoup(inProcessProfiles(), { channels: inProcess() });
  const claim = claimProbe(owner, new SqlInFlightLog(services.database));
  let figures: Record<string, number> = {};
  return {
    async prepare({ count }) {
      const due = await registered(services.repayments, count);
      figures = {};
      const probes = { deduction: deductionProbe(services, due), ...readProbes(services) };
      return {
        run: async () => {
          for (const [name, probe] of Object.entries({ ...probes, ...claim })) {
            figures[name] = await median(count, probe);
          }
          return new Float64Array(count);
        },
        counters: async () => ({ ...figures }),
      };
    },
    async close() {
      await owner.destroy();
      await services.close();
    },
  };
}

async function median(count: number, probe: Probe): Promise<number> {
  const took: number[] = [];
  for (let index = 0; index < count; index += 1) took.push(await probe(index));
  return took.toSorted((a, b) => a - b)[Math.floor(count / 2)] ?? 0;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
}

const deductionProbe =
  ({ desk }: Services, due: readonly Repayment[]): Probe =>
  async (index) => {
    const repayment = due[index];
    if (repayment === undefined) throw new Error('too few repayments');
    const tookMs = await timeOf(async () => {
      const { finished } = await desk.start(requestFor(repayment), repayment);
      await finished;
    });
    return tookMs - channelMs;
  };

function readProbes(services: Services): Record<string, Probe> {
  const { database, deductions, channelStore, compensator } = services;
  const cases = new CaseStore(database);
  const listed = (status?: 'failed' | 'processing') => async () =>
    await timeOf(async () => await deductions.list({ status, limit: 50 }));
  return {
    sweep: async () => await timeOf(async () => await compensator.runOnce()),
    'list: newest': listed(),
    'list: failed': listed('failed'),
    'list: processing': listed('processing'),
    'list: open cases': async () =>
      await timeOf(async () => await cases.list({ open: true, limit: 50 })),
    "the day's usage": async () => await timeOf(async () => await channelStore.usage(today())),
  };
}

const today = (): string => businessDate(Date.now(), 'Asia/Shanghai');

/** Claims tasks that nobody moves: put there before and taken away after. */
function claimProbe(owner: Database, inFlight: SqlInFlightLog): Record<string, Probe> {
  const lost = Array.from({ length: claimedAtOnce }, () => newTaskId());
  const rows = lost.map(() => "(?, 'deduction', 3, ?, ?)").join();
  return {
    [`claim of ${claimedAtOnce}`]: async () => {
      const nowMs = Date.now();
      const then = sqlTime(nowMs - 600_000);
      await owner.raw(
        `INSERT INTO in_flight (task_id, kind, seq, started_at, wake_at) VALUES ${rows}`,
        lost.flatMap((id) => [id, then, then]),
      );
      const page = { kind: 'deduction', by: 'bench', limit: claimedAtOnce, nowMs } as const;
      const times = { overdueAtMs: nowMs - 180_000, claimUntilMs: nowMs + 60_000 };
      let found = 0;
      const tookMs = await timeOf(async () => {
        found = (await inFlight.claimOverdue({ ...page, ...times })).length;
      });
      await owner.raw(`DELETE FROM in_flight WHERE claimed_by = 'bench'`);
      if (found !== claimedAtOnce) throw new Error(`claimed ${found}`);
      return tookMs;
    },
  };
}

await serve(open);
