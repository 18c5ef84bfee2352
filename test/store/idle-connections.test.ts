import { expect } from 'chai';
import { loadConfig } from '../../src/config.js';
import { openDatabase } from '../../src/store/database.js';
import { until } from '../sandbox/sandbox-process.js';

interface PoolView {
  numFree(): number;
  numUsed(): number;
}

describe('a database connection that nobody uses', () => {
  it('is closed without a word, before its silence passes for a server that is gone', async () => {
    const warnings: string[] = [];
    const log = {
      debug: () => undefined,
      info: () => undefined,
      warn: (...said: unknown[]) => warnings.push(JSON.stringify(said)),
      error: (...said: unknown[]) => warnings.push(JSON.stringify(said)),
    };
    const database = openDatabase(loadConfig(process.env).migrationUrl, 2, log, {
      silentMs: 4_000,
    });
    try {
      await database.raw('SELECT 1');
      const pool = (database.client as { pool: PoolView }).pool;
      expect(pool.numFree()).to.equal(1);
      await until('the pool is empty', async () => pool.numFree() + pool.numUsed() === 0);
    } finally {
      await database.destroy();
    }
    expect(warnings).to.eql([]);
  });
});
