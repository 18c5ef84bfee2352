import { expect } from 'chai';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../src/config.js';
import { silentLog } from '../../src/log.js';
import { storeIsAway } from '../../src/store-away.js';
import { openDatabase, type Database } from '../../src/store/database.js';

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
