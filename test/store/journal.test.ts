import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import type { Entry } from '../../src/engine/entries.js';
import { fold } from '../../src/engine/flow.js';
import { StaleWriter, type Append } from '../../src/engine/journal.js';
import { RecoupError } from '../../src/errors.js';
import { newTaskId, orderNo, type TaskId } from '../../src/ids.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { silentLog } from '../../src/log.js';
import { openDatabase, selectRows, type Database } from '../../src/store/database.js';
import { SqlJournal } from '../../src/store/sql-journal.js';
import { RowsMissing } from '../../src/store/whole-transaction.js';
import type { Answer } from '../../src/engine/reply.js';
import { declined, place } from '../engine/flow-driver.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { TcpProxy } from '../support/tcp-proxy.js';

describe('the journal on MariaDB', () => {
  let environment: TestEnvironment;
  let database: Database;
  let journal: SqlJournal;

  before(async () => {
    environment = await startEnvironment();
    database = openDatabase(environment.config.databaseUrl, 6, silentLog, { bundles: true });
    journal = new SqlJournal(database, 'Asia/Shanghai', systemClock, silentLog);
  });
  after(async () => {
    await database.destroy();
    await environment.close();
  });

  const first = (repayment: NewRepayment, task: TaskId, key = `k:${task}`): Entry[] => [
    {
      kind: 'accepted',
      atMs: 1_800_000_000_123,
      deduction: {
        id: task,
        repaymentId: repayment.id,
        borrowerId: repayment.borrowerId,
        amountMinor: repayment.dueMinor,
        currency: 'CNY',
        account: repayment.account,
        source: 'app',
        requestKey: key,
        requestDigest: '0'.repeat(64),
        batchId: null,
        agent: null,
        attemptUntilMs: 1_900_000_000_000,
      },
    },
    { kind: 'routed', atMs: 1_800_000_000_124, route: { places: [place('first')], rejected: [] } },
  ];

  const intent = (repayment: NewRepayment, task: TaskId, attemptNo: number): Entry => ({
    kind: 'charge_intended',
    atMs: 1_800_000_000_200,
    attemptNo,
    nature: place('first').nature,
    order: {
      orderNo: orderNo(task, attemptNo),
      channelId: place('first').channelId,
      amountMinor: repayment.dueMinor,
      currency: 'CNY',
      account: repayment.account,
      createdAtMs: 1_800_000_000_200,
      expiresAtMs: 1_800_000_060_200,
    },
  });

  const append = (before: Entry[], entries: Entry[], writer = 'w1'): Append<DeductionState> => {
    const state = fold(deductionFlow, [...before, ...entries]);
    if (state === null) throw new Error('no state');
    return {
      taskId: state.taskId,
      kind: 'deduction',
      afterSeq: before.length,
      entries,
      before: fold(deductionFlow, before),
      state,
      wakeAtMs: 1_800_000_001_000,
      writer,
    };
  };

  const codeOf = async (promise: Promise<unknown>): Promise<string> => {
    try {
      await promise;
      return 'resolved';
    } catch (error) {
      return error instanceof RecoupError ? error.code : (error as Error).name;
    }
  };

  it('gives back what was appended, to the millisecond and the minor unit', async () => {
    const repayment = await environment.repayment();
    const task = newTaskId();
    const entries = first(repayment, task);
    await journal.append(append([], entries));
    expect((await journal.load(task))?.entries).to.deep.equal(entries);
    expect(await journal.load(newTaskId())).to.equal(null);
  });

  it('refuses a stale writer, and only it, in a group of many', async () => {
    const tasks = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const repayment = await environment.repayment();
        return { repayment, task: newTaskId() };
      }),
    );
    await Promise.all(
      tasks.map(({ repayment, task }) => journal.append(append([], first(repayment, task)))),
    );
    const results = await Promise.allSettled(
      tasks.flatMap(({ repayment, task }, index) => {
        const before = first(repayment, task);
        const next = append(before, [intent(repayment, task, 1)], 'mine');
        // Every fifth task is written by two at once: one of them must lose.
        const rival = append(before, [intent(repayment, task, 1)], 'rival');
        return index % 5 === 0
          ? [journal.append(next), journal.append(rival)]
          : [journal.append(next)];
      }),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).to.have.length(12);
    for (const one of refused) expect(one.reason).to.be.instanceOf(StaleWriter);
    const rows = await selectRows<{ n: number }>(
      database,
      `SELECT COUNT(*) AS n FROM execution_log WHERE seq = 3 AND task_id IN (${tasks
        .map(() => '?')
        .join(',')})`,
      tasks.map(({ task }) => task),
    );
    expect(Number(rows[0]?.n)).to.equal(60);
  });

  it('lets one deduction live on a repayment, whoever is first', async () => {
    const repayment = await environment.repayment();
    const rivals = Array.from({ length: 8 }, () => newTaskId());
    const codes = await Promise.all(
      rivals.map((task) => codeOf(journal.append(append([], first(repayment, task))))),
    );
    expect(codes.filter((code) => code === 'resolved')).to.have.length(1);
    for (const code of codes.filter((one) => one !== 'resolved')) {
      expect(['live_deduction_exists', 'amount_exceeds_due']).to.include(code);
    }
    const log = await selectRows<{ n: number }>(
      database,
      `SELECT COUNT(DISTINCT task_id) AS n FROM execution_log
       WHERE task_id IN (${rivals.map(() => '?').join(',')})`,
      rivals,
    );
    expect(Number(log[0]?.n), 'nothing of the others was written').to.equal(1);
  });

  it('names the constraint that refused a deduction', async () => {
    const repayment = await environment.repayment();
    const unknown = { ...repayment, id: 'rp_nowhere' as NewRepayment['id'] };
    expect(await codeOf(journal.append(append([], first(unknown, newTaskId()))))).to.equal(
      'repayment_unknown',
    );
    const more = { ...repayment, dueMinor: (repayment.dueMinor + 1n) as NewRepayment['dueMinor'] };
    expect(await codeOf(journal.append(append([], first(more, newTaskId()))))).to.equal(
      'amount_exceeds_due',
    );
    const task = newTaskId();
    await journal.append(append([], first(repayment, task, 'one-key')));
    const other = await environment.repayment();
    expect(await codeOf(journal.append(append([], first(other, newTaskId(), 'one-key'))))).to.equal(
      'request_repeated',
    );
  });

  it('finds its own commit again when the confirmation was lost', async () => {
    const url = new URL(environment.config.databaseUrl);
    const proxy = new TcpProxy(url.hostname, Number(url.port));
    url.port = String(await proxy.listen());
    const cut = openDatabase(url.href, 4, silentLog, { bundles: true });
    const through = new SqlJournal(cut, 'Asia/Shanghai', systemClock, silentLog);
    try {
      const tasks = await Promise.all(
        Array.from({ length: 20 }, async () => ({
          repayment: await environment.repayment(),
          task: newTaskId(),
        })),
      );
      for (const [index, { repayment, task }] of tasks.entries()) {
        // Half of them end in the transaction whose confirmation is lost.
        if (index % 2 === 0) await journal.append(append([], first(repayment, task)));
      }
      let commits = 0;
      proxy.cutAfter = (sent) => sent.includes('COMMIT') && (commits += 1) === 1;
      await Promise.all(
        tasks.map(({ repayment, task }, index) => {
          const begun = first(repayment, task);
          const ends = append(begun, declinedAt(repayment, task), task);
          return through.append(index % 2 === 0 ? ends : append([], begun, task));
        }),
      );
      expect(proxy.cuts, 'a commit whose reply was lost').to.equal(1);
      for (const [index, { task }] of tasks.entries()) {
        const ended = index % 2 === 0;
        expect((await journal.load(task))?.entries).to.have.length(ended ? 5 : 2);
        expect(await inFlight(task)).to.eql(ended ? [] : [task]);
      }
    } finally {
      await cut.destroy();
      await proxy.close();
    }
  });

  it('commits nothing of a task whose rows are not there, and all of its neighbours', async () => {
    const [mine, other] = [await environment.repayment(), await environment.repayment()];
    const [task, unrelated] = [newTaskId(), newTaskId()];
    await Promise.all([
      journal.append(append([], first(mine, task))),
      journal.append(append([], first(other, unrelated))),
    ]);
    // No code of ours does this; a person with a shell might.
    await environment.owner.raw('DELETE FROM in_flight WHERE task_id = ?', [task]);
    const [refused, written] = await Promise.allSettled([
      journal.append(append(first(mine, task), [intent(mine, task, 1)])),
      journal.append(append(first(other, unrelated), [intent(other, unrelated, 1)])),
    ]);
    expect(refused.status === 'rejected' && refused.reason).to.be.instanceOf(RowsMissing);
    expect(written.status).to.equal('fulfilled');
    expect((await journal.load(task))?.entries).to.have.length(2);
    expect((await journal.load(unrelated))?.entries).to.have.length(3);
    const attempts = await selectRows<{ id: string }>(
      database,
      'SELECT task_id AS id FROM attempt WHERE task_id IN (?, ?)',
      [task, unrelated],
    );
    expect(attempts).to.eql([{ id: unrelated }]);
  });

  it('goes on when the database was away, and says so when it stays away', async () => {
    const url = new URL(environment.config.databaseUrl);
    const proxy = new TcpProxy(url.hostname, Number(url.port));
    url.port = String(await proxy.listen());
    const away = openDatabase(url.href, 2, silentLog, { bundles: true });
    const patient = new SqlJournal(away, 'Asia/Shanghai', systemClock, silentLog);
    const impatient = new SqlJournal(away, 'Asia/Shanghai', systemClock, silentLog, {
      committers: 1,
      batchMax: 8,
      patienceMs: 200,
    });
    try {
      proxy.down = true;
      const repayment = await environment.repayment();
      const other = await environment.repayment();
      const waiting = patient.append(append([], first(repayment, newTaskId())));
      expect(await codeOf(impatient.append(append([], first(other, newTaskId()))))).to.equal(
        'journal_unavailable',
      );
      proxy.down = false;
      await waiting;
    } finally {
      await away.destroy();
      await proxy.close();
    }
  });

  it('is not held up for long by a process that stands still in mid-commit', async () => {
    const [mine, other] = [await environment.repayment(), await environment.repayment()];
    const [task, unrelated] = [newTaskId(), newTaskId()];
    await journal.append(append([], first(mine, task)));
    const frozen = openDatabase(environment.config.databaseUrl, 1, silentLog, { bundles: true });
    const transaction = await frozen.transaction();
    await transaction.raw(
      `INSERT INTO execution_log (task_id, seq, kind, at, writer, body)
       VALUES (?, 3, 'taken_over', NOW(3), 'frozen', '{}')`,
      [task],
    );
    const startedMs = performance.now();
    try {
      // One transaction for both: who takes over waits for the lock, and so does whoever comes along.
      await Promise.all([
        journal.append(append(first(mine, task), [intent(mine, task, 1)], 'took over')),
        journal.append(append([], first(other, unrelated))),
      ]);
    } finally {
      await transaction.rollback().catch(() => undefined);
      await frozen.destroy();
    }
    // The server ends it after 5 s; without that they would wait for 20.
    expect(performance.now() - startedMs).to.be.lessThan(15_000);
    expect((await journal.load(task))?.entries).to.have.length(3);
  });

  const reply = (answer: Answer, via: 'charge' | 'callback'): Entry => ({
    kind: 'replied',
    atMs: 1_800_000_000_300,
    attemptNo: 1,
    via,
    answer,
    sentAtMs: 1_800_000_000_300,
  });
  const failed: Entry = { kind: 'failed', atMs: 1_800_000_000_400, code: 'x', detail: '' };
  const declinedAt = (repayment: NewRepayment, task: TaskId): Entry[] => [
    intent(repayment, task, 1),
    reply(declined('final'), 'charge'),
    failed,
  ];
  const inFlight = async (...tasks: TaskId[]): Promise<string[]> => {
    const rows = await selectRows<{ id: string }>(
      database,
      `SELECT task_id AS id FROM in_flight WHERE task_id IN (${tasks.map(() => '?').join()})`,
      tasks,
    );
    return rows.map(({ id }) => id);
  };

  it('has in flight what has not ended, and records a success that comes after the end', async () => {
    const repayment = await environment.repayment();
    const task = newTaskId();
    const begun = first(repayment, task);
    const ended = declinedAt(repayment, task);
    await journal.append(append([], begun));
    expect(await inFlight(task)).to.eql([task]);
    await journal.append(append(begun, ended));
    expect(await inFlight(task)).to.eql([]);
    const late = [reply({ kind: 'succeeded', channelRef: 'late' }, 'callback')];
    await journal.append(append([...begun, ...ended], late));
    expect((await journal.load(task))?.entries).to.have.length(6);
    expect(await inFlight(task)).to.eql([]);
    const atOnce = newTaskId();
    await journal.append(append([], [...first(repayment, atOnce), failed]));
    expect(await inFlight(atOnce), 'ended with its first entries').to.eql([]);
  });

  it('is loud about the end of a task that is not in flight', async () => {
    const repayment = await environment.repayment();
    const task = newTaskId();
    const begun = first(repayment, task);
    await journal.append(append([], begun));
    await database.raw('DELETE FROM in_flight WHERE task_id = ?', [task]);
    const ending = journal.append(append(begun, declinedAt(repayment, task)));
    expect(await codeOf(ending)).to.equal('RowsMissing');
    expect((await journal.load(task))?.entries, 'nothing was written').to.have.length(2);
  });

  it('ends many without waiting for the rows of others, be the table ever so small', async () => {
    const begin = async (): Promise<{ repayment: NewRepayment; task: TaskId; begun: Entry[] }> => {
      const [repayment, task] = [await environment.repayment(), newTaskId()];
      const begun = first(repayment, task);
      await journal.append(append([], begun));
      return { repayment, task, begun };
    };
    await environment.owner.raw('DELETE FROM in_flight');
    const all = await Promise.all(Array.from({ length: 12 }, begin));
    const [other, ...ending] = all.toSorted((a, b) => (a.task < b.task ? -1 : 1));
    // The optimizer knows how few rows there are, and that nearly all are meant.
    await environment.owner.raw('ANALYZE TABLE in_flight');
    const holding = await environment.owner.transaction();
    await holding.raw('UPDATE in_flight SET seq = 99 WHERE task_id = ?', [other?.task ?? '']);
    // Else the server would end it, and whoever waited for it would go on.
    await holding.raw('SET SESSION idle_transaction_timeout = 0');
    const startedMs = performance.now();
    try {
      await Promise.all(
        ending.map(({ repayment, task, begun }) =>
          journal.append(append(begun, declinedAt(repayment, task))),
        ),
      );
    } finally {
      await holding.rollback();
    }
    // Who waits for a row does so for 10 s.
    expect(performance.now() - startedMs).to.be.lessThan(9_000);
    expect(await inFlight(...all.map(({ task }) => task))).to.eql([other?.task]);
  });

  it('writes down what a channel said, even half a character', async () => {
    const repayment = await environment.repayment();
    const task = newTaskId();
    const begun = [...first(repayment, task), intent(repayment, task, 1)];
    await journal.append(append([], begun));
    const answer: Answer = { kind: 'succeeded', channelRef: 'ref\ud842' };
    const atMs = 1_800_000_000_300;
    const replied: Entry = {
      kind: 'replied',
      atMs,
      attemptNo: 1,
      via: 'charge',
      answer,
      sentAtMs: atMs,
    };
    await journal.append(append(begun, [replied]));
    expect((await journal.load(task))?.entries).to.have.length(4);
  });

  it('cannot be changed by the application, nor by the owner', async () => {
    const repayment = await environment.repayment();
    const task = newTaskId();
    await journal.append(append([], first(repayment, task)));
    for (const user of [database, environment.owner]) {
      for (const sql of [
        `UPDATE execution_log SET kind = 'settled' WHERE task_id = '${task}'`,
        `DELETE FROM execution_log WHERE task_id = '${task}'`,
      ]) {
        expect(await codeOf(user.raw(sql) as Promise<unknown>), sql).not.to.equal('resolved');
      }
    }
    const truncated = await codeOf(database.raw('TRUNCATE execution_log') as Promise<unknown>);
    expect(truncated).not.to.equal('resolved');
  });
});
