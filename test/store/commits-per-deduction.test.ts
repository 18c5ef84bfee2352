import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { selectRows } from '../../src/store/database.js';
import { requestFor } from '../support/requests.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';

describe('what a happy deduction costs, counted at the database', () => {
  let environment: TestEnvironment;
  let services: Services;

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose();
  });
  after(async () => {
    await environment.owner.raw('SET GLOBAL general_log = OFF');
    await environment.close();
  });

  it('is two commits, and nothing durable besides', async () => {
    const { owner } = environment;
    const warm = await environment.repayment();
    await (
      await services.desk.start(requestFor(warm))
    ).finished;
    const repayment = await environment.repayment();

    await owner.raw(`SET GLOBAL log_output = 'TABLE'`);
    await owner.raw('TRUNCATE mysql.general_log');
    await owner.raw('SET GLOBAL general_log = ON');
    const { deductionId, finished } = await services.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    await owner.raw('SET GLOBAL general_log = OFF');

    // The application's connections of this database alone; the log's own reader is the owner.
    const rows = await selectRows<{ sql: string; thread: string }>(
      owner,
      `SELECT CONVERT(argument USING utf8mb4) AS \`sql\`, thread_id AS thread FROM mysql.general_log
       WHERE command_type = 'Query' AND user_host LIKE ? ORDER BY event_time`,
      [`${new URL(environment.config.databaseUrl).username}%`],
    );
    // The records of calls are written aside, by connections that never write to the log.
    const journal = rows.filter(({ sql }) => sql.includes('INTO execution_log'));
    const threads = new Set(journal.map(({ thread }) => thread));
    const statements = rows
      .filter(({ thread }) => threads.has(thread))
      .flatMap(({ sql }) => sql.trim().split(/;(?=INSERT|UPDATE|DELETE|SET|COMMIT)/));
    const starting = (word: RegExp): string[] => statements.filter((sql) => word.test(sql));
    expect(starting(/^COMMIT/i), statements.join('\n')).to.have.length(2);
    expect(starting(/^ROLLBACK/i)).to.have.length(0);
    const writes = starting(/^(INSERT|UPDATE|DELETE)/i);
    // Commit 1: log, deduction, attempt, in-flight, repayment. Commit 2: the same five, and the
    // ledger's message.
    expect(writes, writes.join('\n')).to.have.length(11);
    const transactions = starting(/^(BEGIN|START TRANSACTION)/i);
    expect(transactions, 'every write is inside one of the two transactions').to.have.length(2);
    expect((await services.deductions.find(deductionId))?.status).to.equal('succeeded');
  });
});
