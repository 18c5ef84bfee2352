import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../src/config.js';
import { silentLog } from '../../src/log.js';
import { storeIsAway } from '../../src/store-away.js';
import { openDatabase, type Database } from '../../src/store/database.js';
import { classify } from '../../src/store/sql-errors.js';

describe('A database that takes no more connections', () => {
  for (const errno of [1040, 1203, 1226]) {
    it(`is away, and what is to be written is tried again: ${errno}`, () => {
      const error = Object.assign(new Error('no'), { errno, code: 'ER_USER_LIMIT_REACHED' });
      expect(storeIsAway(error)).to.equal(true);
      expect(classify(error)).to.deep.equal({ kind: 'retry' });
    });
  }
});

describe('A database that goes away in the middle of a transaction', () => {
  let database: Database;

  before(() => {
    database = openDatabase(loadConfig(process.env).migrationUrl, 2, silentLog);
  });
  after(async () => database.destroy());

  it('is known to be away, though what fails last is the ROLLBACK', async () => {
    const error: unknown = await database
      .transaction(async (transaction) => {
        const [[row]] = (await transaction.raw('SELECT CONNECTION_ID() AS id')) as [
          { id: number }[],
        ];
        await database.raw(`KILL ${row?.id}`);
        await delay(50);
        throw new Error('what failed first');
      })
      .catch((thrown: unknown) => thrown);
    expect(error)
      .to.be.an('error')
      .that.has.property('message')
      .which.matches(/ROLLBACK/);
    expect(storeIsAway(error)).to.equal(true);
  });
});
