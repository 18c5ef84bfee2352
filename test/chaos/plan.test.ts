import { expect } from 'chai';
import { batchFile } from '../../src/chaos/batches.js';
import { chaosTimes, faultKinds, plan, required, stopMinMs } from '../../src/chaos/plan.js';

const fiveMinutes = 300_000;

describe('The plan of a chaos run', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(plan('one', fiveMinutes)).to.eql(plan('one', fiveMinutes));
    expect(plan('one', fiveMinutes)).to.not.eql(plan('two', fiveMinutes));
  });

  it('holds more of each fault than a run must have injected, at every length', () => {
    for (const minutes of [0.25, 1, 2, 5, 60]) {
      const faults = plan('any', minutes * 60_000);
      const must = required(minutes * 60_000);
      for (const kind of faultKinds) {
        const count = faults.filter((fault) => fault.kind === kind).length;
        expect(count, `${kind} in ${minutes} minutes`).to.be.at.least(Math.max(1, must[kind]));
      }
    }
  });

  it('holds some kinds alone where only they are wanted', () => {
    const only = ['worker_kill', 'half_close'] as const;
    expect(new Set(plan('one', fiveMinutes, only).map(({ kind }) => kind))).to.eql(new Set(only));
    expect(required(fiveMinutes, only)).to.include({ worker_kill: 30, worker_stop: 0 });
  });

  it('asks of five minutes what issue 3 asks', () => {
    expect(required(fiveMinutes)).to.include({ worker_kill: 30, worker_stop: 20, cut_commit: 20 });
    expect(required(fiveMinutes)).to.include({ database_kill: 5, redis_kill: 5, redis_flush: 5 });
  });

  it('stops workers for longer than their lease, and lets every stop end in time', () => {
    expect(stopMinMs).to.be.greaterThan(Number(chaosTimes.RECOUP_LOCK_LEASE_MS) + 1_000);
    for (const { kind, atMs, forMs } of plan('any', fiveMinutes)) {
      expect(atMs).to.be.within(0, fiveMinutes);
      if (kind !== 'worker_stop') continue;
      expect(forMs).to.be.at.least(stopMinMs);
      expect(atMs + forMs).to.be.at.most(fiveMinutes);
    }
  });
});

describe('The load of a chaos run', () => {
  it('is the same for the same seed, with no repayment in two batches', () => {
    expect(batchFile('one', 1)).to.equal(batchFile('one', 1));
    const ids = [batchFile('one', 1), batchFile('one', 2)].flatMap((text) =>
      text
        .trim()
        .split('\n')
        .slice(1)
        .map((row) => row.split(',')[0]),
    );
    expect(new Set(ids).size).to.equal(ids.length);
  });
});
