import type { Database } from '../../src/store/database.js';
import { until } from '../sandbox/sandbox-process.js';

/**
 * Resolves once a transaction waits for another's row. The server's counter is read, since
 * `information_schema.innodb_trx` shows its readers what it held 100 ms ago, and forever the same to
 * one who asks more often than that.
 */
export async function untilARowIsWaitedFor(database: Database): Promise<void> {
  await until('a transaction waits for the row', async () => {
    const [[counter]] = (await database.raw(
      `SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'`,
    )) as [[{ Value: string }]];
    return Number(counter.Value) > 0;
  });
}
