import { expect } from 'chai';
import { newTaskId, type TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { execute, openDatabase, type Database } from '../../src/store/database.js';
import { LogReads } from '../../src/store/log-reads.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';

describe('reads of many logs at once', () => {
  let environment: TestEnvironment;
  let database: Database;
  let reads: LogReads;
  let statements = 0;

  before(async () => {
    environment = await startEnvironment();
    database = openDatabase(environment.config.databaseUrl, 4, silentLog);
    database.on('query', () => (statements += 1));
    reads = new LogReads(database);
  });
  after(async () => {
    await database.destroy();
    await environment.close();
  });

  /** Entries of these kinds, each saying its place in its log. */
  async function written(kinds: readonly string[], from = 1): Promise<TaskId> {
    const task = newTaskId();
    for (const [index, kind] of kinds.entries()) {
      const row = [task, from + index, kind, JSON.stringify({ by: `${task} ${from + index}` })];
      await execute(
        database,
        "INSERT INTO execution_log (task_id, seq, kind, at, writer, body) VALUES (?, ?, ?, NOW(3), 'w', ?)",
        row,
      );
    }
    return task;
  }

  const readOf = async (task: TaskId, afterSeq: number): Promise<unknown[]> =>
    (await reads.after(task, afterSeq)).map((entry) => 'by' in entry && entry.by);

  it('cost a few statements, and each gets its own log', async () => {
    const tasks = await Promise.all(
      Array.from({ length: 40 }, () => written(['taken_over', 'taken_over'])),
    );
    statements = 0;
    const logs = await Promise.all(tasks.map((task) => readOf(task, 0)));
    expect(logs).to.deep.equal(tasks.map((task) => [`${task} 1`, `${task} 2`]));
    expect(statements).to.equal(1);
  });

  it('of one task from several places each get what is after theirs', async () => {
    const task = await written(['taken_over', 'taken_over', 'taken_over']);
    const other = await written(['taken_over']);
    const nobody = newTaskId();
    const asked = [
      readOf(task, 2),
      readOf(task, 0),
      readOf(nobody, 0),
      readOf(other, 1),
      readOf(task, 3),
      readOf(other, 0),
    ];
    expect(await Promise.all(asked)).to.deep.equal([
      [`${task} 3`],
      [`${task} 1`, `${task} 2`, `${task} 3`],
      [],
      [],
      [],
      [`${other} 1`],
    ]);
  });

  it('a log that cannot be read is the trouble of whoever asked for it', async () => {
    const [good, strange, gap] = await Promise.all([
      written(['taken_over']),
      written(['taken_over', 'never_heard_of']),
      written(['taken_over'], 2),
    ]);
    const asked = await Promise.allSettled([good, strange, gap].map((task) => readOf(task, 0)));
    expect(asked.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'rejected']);
    expect(asked.map((one) => 'reason' in one && String(one.reason))).to.deep.equal([
      false,
      'Error: unknown entry kind: never_heard_of',
      `Error: the log of ${gap} has a gap before 2`,
    ]);
    expect(await readOf(gap, 1), 'whoever has the entry before').to.deep.equal([`${gap} 2`]);
  });
});
