import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { silentLog } from '../../src/log.js';
import { GroupCommit } from '../../src/store/group-commit.js';

/** Transactions that end when they are told to. */
class Transactions {
  readonly sizes: number[] = [];
  readonly #ends: (() => void)[] = [];
  readonly commits = new GroupCommit<number>(
    {
      write: async (items) => {
        this.sizes.push(items.length);
        await new Promise<void>((resolve) => this.#ends.push(resolve));
      },
      findCommitted: async () => new Set(),
      collision: () => null,
    },
    { committers: 2, batchMax: 128, patienceMs: 60_000 },
    systemClock,
    silentLog,
  );

  async add(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) this.#added.push(this.commits.add(n));
    await turn();
  }

  async endFirst(): Promise<void> {
    this.#ends.shift()?.();
    await turn();
  }

  async endAll(): Promise<void> {
    while (this.#ends.length > 0) await this.endFirst();
    await Promise.all(this.#added);
  }

  readonly #added: Promise<void>[] = [];
}

const turn = async (): Promise<void> =>
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('Which writes go together', () => {
  it('shares what one turn brings between the committers that are free', async () => {
    const transactions = new Transactions();
    await transactions.add(100);
    expect(transactions.sizes).to.deep.equal([50, 50]);
    await transactions.endAll();
  });

  it('leaves a few together', async () => {
    const transactions = new Transactions();
    await transactions.add(30);
    expect(transactions.sizes).to.deep.equal([30]);
    await transactions.endAll();
  });

  it('gives all that waits, up to the most, to the one committer that is free', async () => {
    const transactions = new Transactions();
    await transactions.add(200);
    await transactions.add(90);
    await transactions.endFirst();
    expect(transactions.sizes).to.deep.equal([100, 100, 90]);
    await transactions.add(300);
    await transactions.endFirst();
    await transactions.endAll();
    expect(transactions.sizes).to.deep.equal([100, 100, 90, 128, 128, 44]);
  });
});
