import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { silentLog } from '../../src/log.js';
import { GroupCommit } from '../../src/store/group-commit.js';

describe('What a group of commits tells', () => {
  it('every transaction with its outcome, and every write that was given up', async () => {
    const told: string[] = [];
    const observer = {
      transaction: (outcome: string, writes: number) => void told.push(`${outcome} ${writes}`),
      gaveUp: (writes: number) => void told.push(`gave up ${writes}`),
    };
    let [away, now] = [true, 0];
    const clock = {
      ...systemClock,
      monotonicMs: () => now,
      sleep: async (ms: number) => void (now += ms),
    };
    const writer = {
      write: async () => {
        if (away) throw Object.assign(new Error('deadlock'), { errno: 1213 });
      },
      findCommitted: async () => new Set<string>(),
      collision: () => null,
    };
    const settings = { committers: 1, batchMax: 8, patienceMs: 1, observer };
    const commits = new GroupCommit<string>(writer, settings, clock, silentLog);
    const given = await Promise.allSettled([commits.add('a'), commits.add('b')]);
    expect(given.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(told).to.deep.equal(['retry 2', 'gave up 1', 'gave up 1']);
    away = false;
    await commits.add('c');
    expect(told.at(-1)).to.equal('committed 1');
  });

  it('an observer that throws undoes no commit', async () => {
    const written: string[][] = [];
    const writer = {
      write: async (items: readonly string[]) => void written.push([...items]),
      findCommitted: async () => new Set<string>(),
      collision: () => null,
    };
    const observer = {
      transaction: (outcome: string) => {
        if (outcome === 'committed') throw new Error('a counter that is not there');
      },
      gaveUp: () => undefined,
    };
    const settings = { committers: 1, batchMax: 8, patienceMs: 1_000, observer };
    const commits = new GroupCommit<string>(writer, settings, systemClock, silentLog);
    await Promise.all([commits.add('a'), commits.add('b')]);
    await commits.add('c');
    expect(written).to.deep.equal([['a', 'b'], ['c']]);
  });
});
