import { expect } from 'chai';
import { stub } from 'sinon';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import type { Entry } from '../../src/engine/entries.js';
import { Executor } from '../../src/engine/executor.js';
import { silentLog } from '../../src/log.js';
import { FlowDriver, pending, place, someTask, succeeded } from './flow-driver.js';

/** An order that is pending and due to be asked about, and what happens while a run waits for the lock. */
function waking(meanwhile: () => void, driver: FlowDriver) {
  const query = stub().resolves(succeeded);
  const lease = { remainingMs: () => 60_000, extend: async () => {}, release: async () => {} };
  const executor = new Executor<DeductionState>(
    {
      flow: deductionFlow,
      journal: {
        load: async () => ({ kind: 'deduction', entries: [...driver.log] }),
        loadAfter: async (_task, seq) => driver.log.slice(seq),
        append: async ({ entries, afterSeq }) => {
          expect(afterSeq).to.equal(driver.log.length);
          driver.log.push(...entries);
        },
      },
      locks: {
        acquire: async () => {
          meanwhile();
          return lease;
        },
      },
      channels: {
        get: () => ({
          timeoutsMs: { charge: 5_000, query: 1_000, close: 1_000 },
          charge: async () => pending,
          query,
        }),
      },
      router: { plan: async () => ({ places: [], rejected: [] }) },
      wakeUps: { schedule: async () => undefined },
      clock: { nowMs: () => driver.nowMs, monotonicMs: () => 0, sleep: async () => undefined },
      log: silentLog,
    },
    { executorId: 'woken', leaseMarginMs: 2_000, lockWaitMs: 0 },
  );
  return { query, run: async () => await executor.run(someTask) };
}

function due(): FlowDriver {
  const driver = new FlowDriver([place('first')]);
  driver.answer('charge', pending);
  driver.wait();
  return driver;
}

const kinds = (log: readonly Entry[]): string[] => log.map(({ kind }) => kind);

describe('a wake-up', () => {
  it('goes on from the last entry, and appends behind it', async () => {
    const driver = due();
    const { query, run } = waking(() => undefined, driver);
    const before = driver.log.length;
    expect((await run()).outcome).to.equal('ended');
    expect(query.callCount).to.equal(1);
    expect(kinds(driver.log).slice(before)).to.deep.equal(['replied', 'settled']);
  });

  it('that waited for the lock goes on from where the one before it left off', async () => {
    const driver = due();
    const { query, run } = waking(() => {
      driver.callback(succeeded);
      driver.next();
    }, driver);
    expect((await run()).outcome).to.equal('ended');
    expect(query.callCount, 'nothing is left to ask').to.equal(0);
    expect(kinds(driver.log).filter((kind) => kind === 'settled')).to.have.length(1);
  });
});
