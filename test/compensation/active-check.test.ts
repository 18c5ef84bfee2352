import { expect } from 'chai';
import type { CaseRecord } from '../../src/cases/case.js';
import { ActiveCheck } from '../../src/compensation/active-check.js';
import type { Services } from '../../src/composition/root.js';
import type { RunOutcome } from '../../src/engine/executor.js';
import { orderNo, type TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { ActiveCheckStore } from '../../src/store/active-check.js';
import { CaseStore } from '../../src/store/case-book.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';
import { untilARowIsWaitedFor } from '../support/row-locks.js';
import { hearing } from '../support/suite.js';

const hourMs = 3_600_000;

describe('the active check', () => {
  let environment: TestEnvironment;
  let services: Services;
  let deaf: Services;
  let store: ActiveCheckStore;
  /** How much later than now the check believes it is. */
  let laterMs = 2 * hourMs;

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose();
    deaf = await environment.compose({ wrappers: neverHears });
    store = new ActiveCheckStore(services.database, {
      zone: environment.config.businessZone,
      booksAreOurs: true,
    });
  });
  after(async () => environment.close());
  beforeEach(() => {
    // What one test has left is in order, or looked at again much later than any other test looks.
    laterMs += 48 * hourMs;
  });

  /** A process that never hears the answer to a charge, though the channel did it. */
  const neverHears = hearing(() => ({ kind: 'unknown', why: 'timeout', detail: 'never heard' }));

  async function deduct(by: Services): Promise<TaskId> {
    const { deductionId, finished } = await by.desk.start(
      requestFor(await environment.repayment()),
    );
    await finished;
    return deductionId;
  }

  /** Captured at the channel, unknown to us; nothing wakes it. */
  async function abandoned(): Promise<TaskId> {
    const task = await deduct(deaf);
    // The first ask is due at once, for real.
    await services.clock.sleep(400);
    return task;
  }

  /** Declined, and captured all the same. */
  async function collectedLate(): Promise<TaskId> {
    const params = { outcome: 'insufficient_funds' } as const;
    await environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'decline', params },
    ]);
    const task = await deduct(services);
    await environment.sandbox.clearFaults();
    await services.executor.run(task, {
      kind: 'callback',
      orderNo: orderNo(task, 1),
      read: () => ({ kind: 'succeeded', channelRef: 'late-1' }),
    });
    return task;
  }

  const run = async (task: TaskId): Promise<RunOutcome> =>
    (await services.executor.run(task)).outcome;

  const checker = (resume: (task: TaskId) => Promise<RunOutcome> = run): ActiveCheck =>
    new ActiveCheck(
      store,
      resume,
      { ageMs: hourMs, intervalMs: hourMs, concurrency: 4 },
      { ...services.clock, nowMs: () => Date.now() + laterMs },
      silentLog,
    );

  const statusOf = async (task: TaskId): Promise<string | undefined> =>
    (await services.deductions.find(task))?.status;

  const openCases = async (task: TaskId): Promise<readonly CaseRecord[]> =>
    await new CaseStore(services.database).list({ open: true, taskId: task, limit: 10 });

  const owner = async (sql: string, ...values: string[]): Promise<void> =>
    void (await environment.owner.raw(sql, values));

  /** As the ledger's workers do. */
  const postAll = async (): Promise<void> => {
    const [rows] = (await environment.owner.raw(
      'SELECT id FROM outbox WHERE delivered_at IS NULL ORDER BY id',
    )) as [{ id: string }[]];
    await services.ledger.consumer.handle(rows.map(({ id }) => id));
  };

  const inFlight = async (task: TaskId): Promise<unknown[]> => {
    const [rows] = (await environment.owner.raw('SELECT seq FROM in_flight WHERE task_id = ?', [
      task,
    ])) as [unknown[]];
    return rows;
  };

  const followed = async (task: TaskId): Promise<boolean> => {
    const [rows] = (await environment.owner.raw(
      'SELECT task_id FROM active_check_task WHERE task_id = ?',
      [task],
    )) as [unknown[]];
    return rows.length > 0;
  };

  it('tells the ledger of a late capture of the time when nobody was told of those', async () => {
    await deduct(services);
    const late = await collectedLate();
    await owner("DELETE FROM outbox WHERE topic = 'ledger.late_capture'");
    await owner('DELETE FROM active_check_mark');
    await checker().runOnce();
    const [told] = (await environment.owner.raw(
      "SELECT message_key FROM outbox WHERE topic = 'ledger.late_capture'",
    )) as [{ message_key: string }[]];
    expect(told.map((row) => row.message_key)).to.eql([orderNo(late, 1)]);
  });

  it('leaves alone what is younger than its age', async () => {
    const task = await abandoned();
    laterMs = 0;
    await checker().runOnce();
    expect(await statusOf(task)).to.equal('processing');
    await run(task);
  });

  it('ends a deduction whose in-flight row is gone, by asking', async () => {
    const task = await abandoned();
    await owner('DELETE FROM in_flight WHERE task_id = ?', task);
    await services.compensator.runOnce();
    expect(await statusOf(task), 'the compensator cannot know').to.equal('processing');
    await checker().runOnce();
    expect(await statusOf(task)).to.equal('succeeded');
    const charges = (await services.deductions.log(task)).filter(
      ({ entry }) => entry.kind === 'charge_intended' || entry.kind === 'resend_intended',
    );
    expect(charges, 'asked, not charged again').to.have.length(1);
    expect(await openCases(task)).to.have.length(0);
  });

  it('ends a deduction whose wake-up is lost', async () => {
    const task = await abandoned();
    await owner('UPDATE in_flight SET wake_at = NULL WHERE task_id = ?', task);
    await services.compensator.runOnce();
    expect(await statusOf(task), 'the compensator cannot know').to.equal('processing');
    await checker().runOnce();
    expect(await statusOf(task)).to.equal('succeeded');
  });

  it('gives back a wake-up that lies in the future, too', async () => {
    const task = await deduct(deaf);
    await owner('UPDATE in_flight SET wake_at = NULL WHERE task_id = ?', task);
    // Nothing is due yet: running it writes nothing.
    await checker(async () => 'waiting').runOnce();
    const [rows] = (await environment.owner.raw(
      'SELECT wake_at IS NULL AS lost FROM in_flight WHERE task_id = ?',
      [task],
    )) as [{ lost: number }[]];
    expect(rows).to.deep.equal([{ lost: 0 }]);
    expect(await openCases(task)).to.have.length(0);
    await services.clock.sleep(400);
    await run(task);
  });

  it('does not put back in flight what ends just then', async () => {
    const task = await abandoned();
    // The end of the task, not committed yet, as the journal writes it.
    const ending = await environment.owner.transaction();
    await ending.raw(
      `UPDATE deduction SET status = 'failed', failure_code = 'x', ended_at = created_at WHERE id = ?`,
      [task],
    );
    await ending.raw('DELETE FROM in_flight WHERE task_id = ?', [task]);
    const restoring = store.restoreInFlight(task, Date.now());
    await untilARowIsWaitedFor(environment.owner);
    await ending.commit();
    await restoring;
    expect(await inFlight(task)).to.eql([]);
  });

  for (const [what, change, evidence] of [
    [
      'an attempt',
      `UPDATE attempt SET status = 'declined', decline_code = 'x', ended_at = created_at WHERE task_id = ?`,
      /attempt 1\.status is declined/,
    ],
    [
      'an amount',
      'UPDATE deduction SET amount_minor = amount_minor - 1 WHERE id = ?',
      /deduction\.amount_minor is 119999/,
    ],
    [
      'what the repayment holds back',
      `UPDATE repayment SET collecting_minor = 0 WHERE id = (
         SELECT repayment_id FROM deduction WHERE id = ?)`,
      /repayment\.collecting_minor is 0, not 120000/,
    ],
    [
      'a case that the log does not know',
      `INSERT INTO review_case (task_id, case_no, reason, attempt_no, amount_minor, evidence, opened_at)
       VALUES (?, 7, 'mismatch', 1, 1, 'made up', NOW(3))`,
      /review_case 7 is not in the log/,
    ],
  ] as const) {
    it(`opens a case, and does not run it, when ${what} is not as the log says`, async () => {
      const task = await abandoned();
      await owner(change, task);
      const ran: TaskId[] = [];
      const watched = async (one: TaskId): Promise<RunOutcome> => {
        ran.push(one);
        return await run(one);
      };
      await checker(watched).runOnce();
      const found = (await openCases(task)).filter(({ source }) => source === 'check');
      expect(found.map(({ kind }) => kind)).to.deep.equal(['tables_differ']);
      expect(found[0]?.evidence).to.match(evidence);
      expect(ran).not.to.include(task);
    });
  }

  it('opens a case for a log that cannot be read', async () => {
    const task = await abandoned();
    await owner(
      `INSERT INTO execution_log (task_id, seq, kind, at, writer, body)
       VALUES (?, 99, 'replied', NOW(3), 'someone', '{}')`,
      task,
    );
    await checker().runOnce();
    const [found] = await openCases(task);
    expect(found).to.include({ kind: 'log_unreadable', evidence: 'an entry is missing before 99' });
    expect(found?.amountMinor).to.equal(120_000n);
  });

  it('opens one case for a task whose run throws each time, and goes on with the others', async () => {
    const poison = await abandoned();
    const others = [await abandoned(), await abandoned()];
    const poisoned = async (task: TaskId): Promise<RunOutcome> => {
      if (task === poison) throw new Error('invariant broken: of this task');
      return await run(task);
    };
    for (let sweep = 0; sweep < 3; sweep += 1) {
      await checker(poisoned).runOnce();
      laterMs += hourMs;
    }
    for (const task of others) expect(await statusOf(task)).to.equal('succeeded');
    const found = await openCases(poison);
    expect(found.map(({ kind }) => kind)).to.deep.equal(['cannot_run']);
    expect(found[0]?.evidence).to.include('invariant broken: of this task');
    // What made it poisonous is mended: the case closes by itself.
    laterMs += 24 * hourMs;
    await checker().runOnce();
    expect(await statusOf(poison)).to.equal('succeeded');
    expect(await openCases(poison)).to.have.length(0);
  });

  it('tells the ledger what it was never told, once, in the words of the log', async () => {
    const task = await deduct(services);
    const message = async () => {
      const [rows] = (await environment.owner.raw(
        `SELECT body FROM outbox WHERE topic = 'ledger.repayment_collected' AND message_key = ?`,
        [task],
      )) as [{ body: string }[]];
      return rows;
    };
    const before = await message();
    await owner('DELETE FROM outbox WHERE message_key = ?', task);
    await checker().runOnce();
    expect(await message()).to.deep.equal(before);
    await checker().runOnce();
    expect(await message()).to.have.length(1);
  });

  it('has sent again what is confirmed and stands in no books', async () => {
    const task = await deduct(services);
    const message = async () => {
      const [[row]] = (await environment.owner.raw(
        `SELECT o.delivered_at IS NOT NULL AS confirmed,
           (SELECT COUNT(*) FROM ledger_entry e WHERE e.message_key = o.message_key) AS posted
         FROM outbox o WHERE o.message_key = ?`,
        [task],
      )) as [[{ confirmed: number; posted: string }]];
      return { confirmed: row.confirmed, posted: Number(row.posted) };
    };
    await owner(
      'UPDATE outbox SET delivered_at = NOW(3), send_at = NULL WHERE message_key = ?',
      task,
    );
    await checker().runOnce();
    expect(await message()).to.deep.equal({ confirmed: 0, posted: 0 });
    await postAll();
    expect(await message()).to.deep.equal({ confirmed: 1, posted: 1 });
    laterMs += 24 * hourMs;
    await checker().runOnce();
    expect(await message(), 'and leaves alone what is posted').to.deep.equal({
      confirmed: 1,
      posted: 1,
    });
  });

  it('makes a case of a success that the log knows nothing of, and tells the ledger nothing', async () => {
    const task = await abandoned();
    const [{ order_no: orderNo }] = (await services.deductions.attempts(task)).map((one) => ({
      order_no: one.orderNo,
    })) as [{ order_no: string }];
    await owner(
      `UPDATE deduction SET status = 'succeeded', ended_at = created_at, order_no = ? WHERE id = ?`,
      orderNo,
      task,
    );
    await checker().runOnce();
    const found = await openCases(task);
    expect(found.map(({ kind }) => kind)).to.deep.equal(['tables_differ']);
    const [rows] = (await environment.owner.raw('SELECT id FROM outbox WHERE message_key = ?', [
      task,
    ])) as [unknown[]];
    expect(rows).to.have.length(0);
  });

  it('follows no longer what has ended and is in order', async () => {
    const task = await abandoned();
    await checker().runOnce();
    expect(await statusOf(task)).to.equal('succeeded');
    laterMs += hourMs;
    await checker().runOnce();
    expect(await followed(task), 'the ledger has not posted it').to.equal(true);
    await postAll();
    laterMs += 24 * hourMs;
    await checker().runOnce();
    expect(await followed(task)).to.equal(false);
  });

  it('says once that the ledger is behind, not once for each message', async () => {
    await deduct(services);
    await deduct(services);
    await checker().runOnce();
    const behind = async () =>
      (await new CaseStore(services.database).list({ kind: 'ledger_behind', limit: 10 })).filter(
        ({ closedAt }) => closedAt === null,
      );
    expect(await behind()).to.have.length(1);
    await postAll();
    await checker().runOnce();
    expect(await behind()).to.have.length(0);
  });

  it('is shared by instances: each task is run once', async () => {
    const tasks = await Promise.all(Array.from({ length: 12 }, () => deduct(deaf)));
    await services.clock.sleep(400);
    const ran: TaskId[] = [];
    const counted = async (task: TaskId): Promise<RunOutcome> => {
      ran.push(task);
      return await run(task);
    };
    await Promise.all([1, 2, 3].map(() => checker(counted).runOnce()));
    const mine = ran.filter((task) => tasks.includes(task));
    expect(mine.toSorted()).to.deep.equal(tasks.toSorted());
    for (const task of tasks) expect(await statusOf(task)).to.equal('succeeded');
  });

  it('does not open again what people have written off', async () => {
    const task = await abandoned();
    await owner('UPDATE deduction SET bank_code = ? WHERE id = ?', 'CCB', task);
    await checker().runOnce();
    const [found] = await openCases(task);
    expect(found?.kind).to.equal('tables_differ');
    expect(await store.writeOff(found?.no ?? 0, 'written off: a test', Date.now())).to.equal(true);
    expect(await store.writeOff(found?.no ?? 0, 'again', Date.now())).to.equal(false);
    laterMs += hourMs;
    await checker().runOnce();
    expect(await openCases(task)).to.have.length(0);
  });
});
