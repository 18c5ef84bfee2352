import { expect } from 'chai';
import { deductionsAlone } from '../../src/simulation/flow-plan.js';
import { faultKinds } from '../../src/simulation/faults.js';
import { runWorld } from '../../src/simulation/run-world.js';
import { shrink } from '../../src/simulation/shrink.js';
import { timelineOf } from '../../src/simulation/timeline.js';
import { addWorld, nothing } from '../../src/simulation/total.js';

describe('the simulator', () => {
  it('finds no harm and nothing stuck in eighty worlds, which know every fault', async () => {
    const total = nothing();
    for (let seed = 1; seed <= 80; seed += 1) addWorld(total, await runWorld({ seed }));
    expect(total.failures).to.deep.equal([]);
    expect(total.unresolved).to.equal(0);
    for (const kind of ['deductions', 'withdrawals', 'top_ups'] as const) {
      expect(total[kind], kind).to.be.above(400);
    }
    expect(total.tasks_hit / total.tasks).to.be.above(0.2);
    expect(faultKinds.filter((kind) => total.faults_by_kind[kind] === undefined)).to.deep.equal([]);
    expect(Object.keys(total.statuses)).to.have.members(['succeeded', 'failed', 'needs_review']);
  });

  it('gives the same run for the same seed', async () => {
    for (const seed of [4, 2_029]) {
      const [a, b] = [await runWorld({ seed }), await runWorld({ seed, told: true })];
      expect(b.digest).to.equal(a.digest);
      expect(b.faults).to.deep.equal(a.faults);
    }
    expect((await runWorld({ seed: 5 })).digest).not.to.equal((await runWorld({ seed: 6 })).digest);
  });

  it('leaves a fault out without moving the others that do not depend on it', async () => {
    const whole = await runWorld({ seed: 11 });
    const last = whole.faults.at(-1) ?? '';
    const without = await runWorld({ seed: 11, without: new Set([last]) });
    expect(without.faults).not.to.include(last);
    expect(without.faults.slice(0, whole.faults.length - 1)).to.deep.equal(
      whole.faults.slice(0, -1),
    );
  });

  it('tells the story of a world, shrunk to the faults that it takes', async () => {
    // No world fails; one that is said to fail by what is true of every world shrinks to nothing.
    const told = await runWorld({ seed: 90, mix: deductionsAlone, told: true });
    const failing = { ...told, unresolved: ['said to be so'] };
    const { needed, result } = await shrink(failing);
    expect(needed.length).to.equal(told.faults.length);
    expect(timelineOf(result))
      .to.match(/accepted/)
      .and.match(/charge_intended/);
  });
});
