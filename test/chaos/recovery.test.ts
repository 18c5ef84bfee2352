import { expect } from 'chai';
import { byTask, carriedOn, nextAfter, recovery, type TimedRow } from '../../src/chaos/recovery.js';

const row = (taskId: string, kind: string, writer: string, atMs: number): TimedRow => ({
  taskId,
  kind,
  writer: `${writer}.1`,
  atMs,
});

describe('The recovery after a fault', () => {
  const tasks = byTask([
    row('a', 'accepted', 'w1', 10),
    row('a', 'charge_intended', 'w1', 11),
    row('a', 'taken_over', 'w2', 700),
    row('b', 'replied', 'w1', 20),
    row('b', 'replied', 'w2', 130),
    // Ended, waiting for a person, or another's: not in its hands.
    row('c', 'settled', 'w1', 30),
    row('d', 'case_opened', 'w1', 40),
    row('e', 'charge_intended', 'w12', 50),
    row('f', 'charge_intended', 'w1', 60),
  ]);

  it('is counted for what the process had in its hands, and apart for what was in mid-call', () => {
    expect(carriedOn(tasks, 'w1', 100)).to.eql({ midCallMs: [600, null], firstMs: 30, held: 3 });
    expect(carriedOn(tasks, 'w3', 100)).to.eql({ midCallMs: [], firstMs: null, held: 0 });
  });

  it('is the next commit of anybody where a store was struck', () => {
    expect(nextAfter([[5, 90, 150], [120], []], 100)).to.equal(20);
    expect(nextAfter([[5]], 100)).to.equal(null);
  });

  it('is told by its median and its worst, and by how many never went on', () => {
    expect(recovery([30, null, 10, 20, 40])).to.eql({
      count: 5,
      p50_ms: 20,
      max_ms: 40,
      never: 1,
    });
    expect(recovery([])).to.eql({ count: 0, p50_ms: null, max_ms: null, never: 0 });
  });
});
