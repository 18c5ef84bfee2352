import { expect } from 'chai';
import { loadConfig } from '../../src/config.js';
import { silentLog } from '../../src/log.js';
import { ascii, insertRows, text, updateRows } from '../../src/store/bulk.js';
import { openDatabase, selectRows, type Database } from '../../src/store/database.js';

/** What a statement that holds its values must not stumble over. */
const awkward = [
  `it's`,
  `"quoted"`,
  'back\\slash, and a last one \\',
  `'); DROP TABLE bulk_rows; -- `,
  'a ? and ?? and :name and $& and $1',
  '{"text":"line\\nbreak"}',
  'line\nbreak\r\n\ttab',
  'zero \0 and \u001a',
  'wide ＇ and 人民币 and 😀',
  '',
];

for (const bundles of [false, true]) {
  describe(`rows written many at a time${bundles ? ", over the journal's connections" : ''}`, () =>
    manyAtATime(bundles));
}

function manyAtATime(bundles: boolean): void {
  const name = `bulk_rows_${process.pid}`;
  let database: Database;
  before(async () => {
    database = openDatabase(loadConfig(process.env).migrationUrl, 2, silentLog, { bundles });
    await database.raw(`CREATE TABLE ${name} (id ${ascii(20)} NOT NULL PRIMARY KEY, note ${text(60)},
      other ${text(20)}, amount BIGINT, at DATETIME(3)) CHARACTER SET utf8mb4`);
  });
  after(async () => {
    await database.raw(`DROP TABLE ${name}`);
    await database.destroy();
  });
  beforeEach(async () => void (await database.raw(`DELETE FROM ${name}`)));

  const update = {
    table: name,
    key: { id: ascii(20) },
    values: { note: text(60), amount: 'BIGINT', at: 'DATETIME(3)' },
  };
  const read = async () =>
    await selectRows<{ id: string; note: string | null; amount: string | null }>(
      database,
      `SELECT id, note, amount FROM ${name} ORDER BY id`,
    );

  it('come back as they were, whatever text they hold', async () => {
    const rows = awkward.map((note, index) => ({
      id: `row${index}`,
      note,
      amount: null,
      at: null,
    }));
    await database.transaction(async (trx) => await insertRows(trx, name, rows));
    expect((await read()).map(({ note }) => note)).to.deep.equal(awkward);
    const changed = rows.map((row) => ({ ...row, note: `${row.note}'\\` }));
    const found = await database.transaction(async (trx) => await updateRows(trx, update, changed));
    expect(found).to.equal(awkward.length);
    expect((await read()).map(({ note }) => note)).to.deep.equal(
      awkward.map((note) => `${note}'\\`),
    );
  });

  it('keep amounts that no float holds, and nulls', async () => {
    const rows = [
      { id: 'a', note: null, amount: '9007199254740993', at: '2026-11-22 01:02:03.004' },
      { id: 'b', note: 'n', amount: null, at: null },
    ];
    await database.transaction(async (trx) => await insertRows(trx, name, rows));
    await database.transaction(async (trx) => {
      await updateRows(trx, update, [
        { id: 'a', note: null, amount: '-9007199254740993', at: null },
        { id: 'b', note: null, amount: '9007199254740995', at: '2026-11-22 01:02:03.004' },
      ]);
    });
    expect((await read()).map(({ amount }) => String(amount))).to.deep.equal([
      '-9007199254740993',
      '9007199254740995',
    ]);
  });

  it('are refused when a value does not fit, and named without their values', async () => {
    const write = async (rows: readonly { id: string; note: string }[]): Promise<string> =>
      await database
        .transaction(async (trx) => {
          await insertRows(trx, name, [{ id: 'a', note: 'n', other: '', amount: 1, at: null }]);
          await updateRows(trx, { ...update, values: { note: text(60) } }, rows);
        })
        .then(
          () => 'written',
          (error: unknown) => String(error),
        );
    const message = await write([{ id: 'a', note: `tok_planted_${'x'.repeat(60)}` }]);
    expect(message).to.match(/Data too long/);
    expect(message).not.to.include('tok_planted');
    expect(await read()).to.deep.equal([]);
  });

  it('are changed one alone as many are', async () => {
    const rows = awkward.map((note, index) => ({
      id: `row${index}?`,
      note,
      amount: '1',
      at: null,
    }));
    await database.transaction(async (trx) => await insertRows(trx, name, rows));
    for (const row of rows) {
      const change = { ...row, note: `${row.note}?`, plus: '41' };
      const how = { ...update, values: { note: text(60) }, deltas: { amount: 'plus' } };
      const write = database.transaction(async (trx) => await updateRows(trx, how, [change]));
      expect(await write).to.equal(1);
    }
    const missing = database.transaction(
      async (trx) => await updateRows(trx, update, [{ ...rows[0], id: 'nobody' }]),
    );
    expect(await missing).to.equal(0);
    expect((await read()).map(({ note, amount }) => `${note} ${amount}`)).to.have.members(
      awkward.map((note) => `${note}? 42`),
    );
  });

  it('are refused where a column takes ASCII alone', async () => {
    const row = { id: 'é', note: 'n', other: '', amount: 1, at: null };
    const refusal = await database
      .transaction(async (trx) => await insertRows(trx, name, [row]))
      .then(
        () => 'written',
        (error: unknown) => String(error),
      );
    expect(refusal).to.match(/Incorrect string value/);
  });
}
