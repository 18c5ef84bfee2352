import { expect } from 'chai';
import { repaymentId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { openDatabase } from '../../src/store/database.js';
import { DeductionStore } from '../../src/store/deductions.js';
import { GroupedReads } from '../../src/store/grouped-reads.js';
import { RepaymentStore } from '../../src/store/repayments.js';
import { startEnvironment } from '../support/environment.js';

/** A table in memory whose statements are answered by hand, each with what is there when it begins. */
class Table {
  readonly statements: { readonly keys: readonly string[]; readonly answer: () => void }[] = [];
  readonly rows = new Map<string, string>();
  readonly reads = new GroupedReads<readonly [string, string], string>({
    select: async (keys) => {
      const seen = keys.flatMap((key) => {
        const text = this.rows.get(key);
        return text === undefined ? [] : [[key, text] as const];
      });
      return await new Promise((resolve) =>
        this.statements.push({ keys, answer: () => resolve(seen) }),
      );
    },
    key: ([key]) => key,
    value: ([, text]) => text,
  });

  /** So many keys, one turn after another, each of which begins a statement if one may begin. */
  async ask(...keys: readonly string[]): Promise<Promise<string | null>[]> {
    const asked: Promise<string | null>[] = [];
    for (const key of keys) {
      asked.push(this.reads.find(key));
      await turn();
    }
    return asked;
  }
}

const turn = async (): Promise<void> =>
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('reads of single rows, grouped', () => {
  it('go in one statement when one turn asks for them, and each gets its own row or none', async () => {
    const table = new Table();
    table.rows.set('a', 'A').set('b', 'B');
    const all = Promise.all(['a', 'none', 'b', 'a'].map((key) => table.reads.find(key)));
    await turn();
    expect(table.statements.map(({ keys }) => keys)).to.deep.equal([['a', 'none', 'b']]);
    table.statements[0]?.answer();
    expect(await all).to.deep.equal(['A', null, 'B', 'A']);
  });

  it('gather while two statements are under way, and go in a third', async () => {
    const table = new Table();
    const asked = await table.ask('a', 'b', 'c', 'd');
    expect(table.statements.map(({ keys }) => keys)).to.deep.equal([['a'], ['b']]);
    table.statements[0]?.answer();
    await turn();
    expect(table.statements.map(({ keys }) => keys)).to.deep.equal([['a'], ['b'], ['c', 'd']]);
    for (const { answer } of table.statements) answer();
    expect(await Promise.all(asked)).to.deep.equal([null, null, null, null]);
  });

  it('see a row that was there before they asked, though a statement for it was under way', async () => {
    const table = new Table();
    const [before, beside] = await table.ask('a', 'other');
    table.rows.set('a', 'A');
    const after = table.reads.find('a');
    for (const { answer } of table.statements) answer();
    await turn();
    for (const { answer } of table.statements) answer();
    expect(await Promise.all([before, beside, after])).to.deep.equal([null, null, 'A']);
  });

  it('go 200 to a statement at most', async () => {
    const table = new Table();
    const keys = Array.from({ length: 450 }, (_, index) => `key${index}`);
    for (const key of keys) table.rows.set(key, key.toUpperCase());
    const all = Promise.all(keys.map((key) => table.reads.find(key)));
    for (let statement = 0; statement < 3; statement += 1) {
      await turn();
      for (const { answer } of table.statements) answer();
    }
    expect(await all).to.deep.equal(keys.map((key) => key.toUpperCase()));
    expect(table.statements.map(({ keys: { length } }) => length)).to.deep.equal([200, 200, 50]);
  });

  it('fail together with their statement, and not with a row that is none of theirs', async () => {
    let away = true;
    const reads = new GroupedReads<string, string>({
      select: async (keys) => {
        if (away) throw new Error('away');
        return keys;
      },
      key: (row) => row,
      value: (row) => {
        if (row === 'bad') throw new Error('no such value');
        return row;
      },
    });
    const lost = await Promise.allSettled([reads.find('a'), reads.find('b')]);
    expect(lost.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    away = false;
    const [good, bad] = await Promise.allSettled([reads.find('good'), reads.find('bad')]);
    expect(good).to.deep.equal({ status: 'fulfilled', value: 'good' });
    expect(bad.status).to.equal('rejected');
  });
});

describe('what many callers at once cost the database', () => {
  it('is a few statements, not one a caller', async () => {
    const environment = await startEnvironment();
    const database = openDatabase(environment.config.databaseUrl, 10, silentLog);
    try {
      let statements = 0;
      database.on('query', () => (statements += 1));
      const known = await Promise.all(Array.from({ length: 40 }, () => environment.repayment()));
      const repayments = new RepaymentStore(database);
      const deductions = new DeductionStore(database);
      const [found, none] = await Promise.all([
        Promise.all(known.map(({ id }) => repayments.find(id))),
        Promise.all(known.map(({ id }) => deductions.findByRequest(`api:key:${id}`))),
        repayments.find(repaymentId('nobody')),
      ]);
      expect(found.map((one) => one?.id)).to.deep.equal(known.map(({ id }) => id));
      expect(none.every((one) => one === null)).to.equal(true);
      expect(statements).to.be.below(7);
    } finally {
      await database.destroy();
      await environment.close();
    }
  });
});
