import { expect } from 'chai';
import { Compensator } from '../../src/compensation/compensator.js';
import type { Services } from '../../src/composition/root.js';
import { taskKinds } from '../../src/engine/tasks.js';
import { newTaskId, type TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { selectRows } from '../../src/store/database.js';
import { SqlInFlightLog } from '../../src/store/in-flight.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';
import { hearing } from '../support/suite.js';

describe('the compensator', () => {
  let environment: TestEnvironment;
  let services: Services;
  let deaf: Services;

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose();
    deaf = await environment.compose({ wrappers: neverHears });
  });
  after(async () => environment.close());

  /** A process that never hears the answer to a charge, though the channel did it. */
  const neverHears = hearing(() => ({ kind: 'unknown', why: 'timeout', detail: 'never heard' }));

  /** Deductions whose wake-ups nobody carries out: no poller runs, and Redis is flushed. */
  async function abandoned(count: number): Promise<TaskId[]> {
    const tasks = await Promise.all(
      Array.from({ length: count }, async () => {
        const repayment = await environment.repayment();
        const { deductionId, finished } = await deaf.desk.start(requestFor(repayment));
        expect((await finished).outcome).to.equal('waiting');
        return deductionId;
      }),
    );
    await environment.flushRedis();
    return tasks;
  }

  const sweeper = (instanceId: string, resumed: TaskId[], nowOffsetMs = 0): Compensator =>
    new Compensator(
      new SqlInFlightLog(services.database),
      async (task) => {
        resumed.push(task);
        return (await services.executor.run(task)).outcome;
      },
      {
        instanceId,
        kinds: taskKinds,
        intervalMs: 60_000,
        ageMs: 180_000,
        concurrency: 4,
      },
      { ...services.clock, nowMs: () => Date.now() + nowOffsetMs },
      silentLog,
    );

  it('leaves what is younger than its age, and resumes what is older, from the log', async () => {
    const tasks = await abandoned(5);
    const early: TaskId[] = [];
    await sweeper('early', early).runOnce();
    expect(early).to.have.length(0);
    // The ask is due for real; three minutes later the sweep comes by.
    await services.clock.sleep(400);
    const resumed: TaskId[] = [];
    const report = await sweeper('late', resumed, 190_000).runOnce();
    expect(resumed.toSorted()).to.deep.equal(tasks.toSorted());
    expect(report.outcomes).to.deep.equal({ ended: 5 });
    for (const task of tasks) {
      const record = await services.deductions.find(task);
      expect(record?.status).to.equal('succeeded');
      const charges = (await services.deductions.log(task)).filter(
        ({ entry }) => entry.kind === 'charge_intended' || entry.kind === 'resend_intended',
      );
      expect(charges, 'asked, not charged again').to.have.length(1);
    }
  });

  it('finds again what a sweeper claimed and did not resume, after no more than the age', async () => {
    const tasks = await abandoned(3);
    // The asks are due for real, so that the last sweep ends them.
    await services.clock.sleep(400);
    const ageMs = 5_000;
    const sweepAt = async (nowMs: number, resume: (task: TaskId) => void): Promise<void> => {
      const compensator = new Compensator(
        new SqlInFlightLog(services.database),
        async (task) => {
          resume(task);
          return (await services.executor.run(task)).outcome;
        },
        {
          instanceId: 'any',
          kinds: taskKinds,
          intervalMs: 1_000,
          ageMs,
          concurrency: 4,
        },
        { ...services.clock, nowMs: () => nowMs },
        silentLog,
      );
      await compensator.runOnce();
    };
    const startMs = Date.now() + 10_000;
    await sweepAt(startMs, () => {
      throw new Error('died between the claim and the run');
    });
    const early: TaskId[] = [];
    await sweepAt(startMs + ageMs - 1, (task) => early.push(task));
    expect(early).to.have.length(0);
    const found: TaskId[] = [];
    await sweepAt(startMs + ageMs, (task) => found.push(task));
    expect(found).to.include.members(tasks);
  });

  it('shares a sweep among instances: each task is claimed once', async () => {
    const tasks = await abandoned(30);
    await services.clock.sleep(400);
    const resumed: TaskId[] = [];
    await Promise.all(['a', 'b', 'c'].map((name) => sweeper(name, resumed, 190_000).runOnce()));
    expect(resumed).to.have.length(tasks.length);
    expect(new Set(resumed).size).to.equal(tasks.length);
  });

  it('is not kept from one kind of task by another that hangs, however much of it is overdue', async () => {
    const tasks = await abandoned(3);
    await services.clock.sleep(400);
    // As many withdrawals as a page of the sweep holds, all of them overdue for longer.
    const stuck = Array.from({ length: 250 }, () => newTaskId());
    const values = stuck.map((id) => `('${id}', 'withdrawal', 1, NOW(3), '2020-01-01 00:00:00')`);
    await environment.owner.raw(
      `INSERT INTO in_flight (task_id, kind, seq, started_at, wake_at) VALUES ${values.join()}`,
    );
    const resumed: TaskId[] = [];
    let letGo!: () => void;
    const hangs = new Promise<void>((resolve) => (letGo = resolve));
    const compensator = new Compensator(
      new SqlInFlightLog(services.database),
      async (task) => {
        if (stuck.includes(task)) await hangs;
        else resumed.push(task);
        return stuck.includes(task) ? 'waiting' : (await services.executor.run(task)).outcome;
      },
      {
        instanceId: 'fair',
        kinds: taskKinds,
        intervalMs: 100,
        ageMs: 1,
        concurrency: 2,
      },
      services.clock,
      silentLog,
    );
    compensator.start();
    try {
      await until('the others', async () => resumed.length >= 3);
      const [later] = await abandoned(1);
      await until('the next sweep', async () => resumed.includes(later as TaskId));
      expect(resumed).to.include.members(tasks);
    } finally {
      letGo();
      await compensator.close();
      await environment.owner.raw(`DELETE FROM in_flight WHERE kind = 'withdrawal'`);
    }
  });

  it('is not kept from the others by one task that cannot be resumed', async () => {
    const tasks = await abandoned(3);
    await services.clock.sleep(400);
    const [poisoned] = tasks;
    const resumed: TaskId[] = [];
    const compensator = new Compensator(
      new SqlInFlightLog(services.database),
      async (task) => {
        if (task === poisoned) throw new Error('poisoned');
        resumed.push(task);
        return (await services.executor.run(task)).outcome;
      },
      {
        instanceId: 'x',
        kinds: taskKinds,
        intervalMs: 60_000,
        ageMs: 1,
        concurrency: 2,
      },
      services.clock,
      silentLog,
    );
    const report = await compensator.runOnce();
    expect(report.outcomes).to.deep.equal({ threw: 1, ended: 2 });
    expect(resumed).to.have.length(2);
    expect((await services.deductions.find(poisoned as TaskId))?.status).to.equal('processing');
    await services.executor.run(poisoned as TaskId);
  });

  it('never meets what has ended: of it nothing is in flight', async () => {
    const [waiting] = await abandoned(1);
    const { deductionId, finished } = await services.desk.start(
      requestFor(await environment.repayment()),
    );
    await finished;
    const inFlight = await selectRows<{ task_id: string }>(
      services.database,
      'SELECT task_id FROM in_flight',
    );
    expect(inFlight.map((row) => row.task_id))
      .to.include(waiting)
      .and.not.to.include(deductionId);
    const resumed: TaskId[] = [];
    await services.clock.sleep(400);
    await sweeper('later', resumed, 190_000).runOnce();
    expect(resumed).to.deep.equal([waiting]);
  });

  it('rebuilds the wake-ups that a flush of Redis took, by its own interval', async () => {
    const [task] = await abandoned(1);
    const worker = await environment.compose({
      config: { compensatorIntervalMs: 200, compensatorAgeMs: 200 },
    });
    worker.startPoller();
    worker.compensator.start();
    await until('the task to end', async () => {
      const record = await services.deductions.find(task as TaskId);
      return record?.status === 'succeeded';
    });
  });
});
