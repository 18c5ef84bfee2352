import { expect } from 'chai';
import type { Decision } from '../../src/engine/entries.js';
import type { Evidence } from '../../src/engine/flow.js';
import { declined, FlowDriver, place, succeeded, unknown } from './flow-driver.js';

const decided = (decision: Decision | { action: 'ask_again' }, caseNo = 1): Evidence => ({
  kind: 'decision',
  caseNo,
  decision,
  by: 'ann',
  approvedBy: 'ben',
});
const adopt = { action: 'adopt_captured', channelRef: 'r9', proof: 'bank advice 17' } as const;
const never = { action: 'mark_not_executed', proof: 'letter of the channel' } as const;
const writeOff = { action: 'write_off', reason: 'below a yuan' } as const;

/** Asked until the schedule ended: a person must decide. */
function inReview(places = [place('a')]): FlowDriver {
  const driver = new FlowDriver(places);
  driver.answer('charge', unknown);
  while (driver.next().kind === 'wait') {
    driver.wait();
    driver.answer('query', unknown);
  }
  expect(driver.next()).to.include({ kind: 'stop', reason: 'review' });
  return driver;
}

describe('a decision about a case', () => {
  it('adopts an unknown order as captured, and settles', () => {
    const driver = inReview();
    driver.receive(decided(adopt));
    expect(driver.state.end?.kind).to.equal('succeeded');
    expect(driver.attempt().channelRef).to.equal('r9');
    expect(driver.state.cases.every(({ closed }) => closed !== null)).to.equal(true);
    expect(driver.state.cases[0]?.closed?.resolution).to.include('bank advice 17');
  });

  it('marks an unknown order not executed, and goes on to the next channel', () => {
    const driver = inReview([place('a'), place('b')]);
    const step = driver.receive(decided(never));
    expect(step).to.include({ kind: 'charge', attemptNo: 2 });
    expect(driver.attempt().proof).to.equal('decided');
  });

  it('asks again, and decides nothing', () => {
    const driver = inReview();
    expect(driver.receive(decided({ action: 'ask_again' })).kind).to.equal('query');
    expect(driver.state.cases[0]?.closed).to.equal(null);
  });

  it('cannot write an unknown outcome off, nor give back what may not have been taken', () => {
    for (const decision of [writeOff, { action: 'refund', refundId: 'x' }] as const) {
      const driver = inReview();
      const before = driver.log.length;
      driver.receive(decided(decision));
      expect(driver.log).to.have.length(before);
    }
  });

  it('does nothing to a case that is closed or was never opened', () => {
    const driver = inReview();
    driver.receive(decided(adopt));
    const before = driver.log.length;
    driver.receive(decided(never));
    driver.receive(decided(adopt, 7));
    expect(driver.log).to.have.length(before);
  });

  it('credits a capture that came after the failure, when it is adopted', () => {
    const driver = new FlowDriver([place('a')]);
    driver.answer('charge', declined('final'));
    expect(driver.state.end?.kind).to.equal('failed');
    driver.callback(succeeded);
    expect(driver.attempt().excessSeq).to.be.a('number');
    expect(driver.state.end?.kind).to.equal('failed');
    driver.receive(decided(adopt));
    expect(driver.state.end?.kind).to.equal('succeeded');
    expect(driver.log.at(-1)).to.include({ kind: 'settled', afterFailure: true });
    expect(driver.attempt().excessSeq).to.equal(null);
  });

  it('closes the case of a late capture that is given back, and the failure stays', () => {
    const driver = new FlowDriver([place('a')]);
    driver.answer('charge', declined('final'));
    driver.callback(succeeded);
    driver.receive(decided({ action: 'refund', refundId: 'rf_1' }));
    expect(driver.state.end?.kind).to.equal('failed');
    expect(driver.state.cases[0]?.closed?.resolution).to.include('rf_1');
  });
});

describe("a channel's statement", () => {
  it('makes a case of each time that the channel took the money again', () => {
    const driver = new FlowDriver([place('a')]);
    driver.answer('charge', succeeded);
    const { orderNo } = driver.attempt().order;
    const listed = { read: () => succeeded, source: 'a 2026-11-21', captures: 3 };
    driver.receive({ kind: 'statement', orderNo, ...listed });
    expect(driver.attempt().captures).to.equal(3);
    const reasons = driver.state.cases.map(({ reason }) => reason);
    expect(reasons).to.eql(['captured_twice', 'captured_twice']);
  });

  it('that lists a capture twice is counted once, and laid before a person', () => {
    const driver = new FlowDriver([place('a')]);
    driver.answer('charge', succeeded);
    const { orderNo } = driver.attempt().order;
    const twice = { read: () => succeeded, source: 'a 2026-11-21', captures: 2 };
    driver.receive({ kind: 'statement', orderNo, ...twice });
    driver.receive({ kind: 'statement', orderNo, ...twice });
    expect(driver.attempt().captures).to.equal(2);
    expect(driver.state.cases.map(({ reason }) => reason)).to.deep.equal(['captured_twice']);
    expect(driver.state.end?.kind).to.equal('succeeded');
  });

  it('ends an unknown outcome as a callback would, and names itself in the log', () => {
    const driver = inReview();
    const { orderNo } = driver.attempt().order;
    driver.receive({ kind: 'statement', orderNo, read: () => succeeded, source: 'a 2026-11-21' });
    expect(driver.state.end?.kind).to.equal('succeeded');
    const replied = driver.log.find(
      (entry) => entry.kind === 'replied' && entry.via === 'statement',
    );
    expect(replied).to.include({ source: 'a 2026-11-21' });
  });
});

describe('what a channel says of another amount', () => {
  const differs = (theirs: string) =>
    ({ kind: 'mismatch', field: 'amount', ours: '50000', theirs }) as const;
  const mismatches = ({ state }: FlowDriver) =>
    state.cases.filter(({ reason }) => reason === 'mismatch');

  it('is a case again when it says yet another after the first case is closed, and the same is not', () => {
    const driver = new FlowDriver([place('a')]);
    driver.answer('charge', declined('final'));
    driver.callback(differs('50001'));
    driver.callback(differs('50002'));
    expect(mismatches(driver)).to.have.length(1);
    driver.receive(decided(writeOff));
    driver.callback(differs('50001'));
    expect(mismatches(driver)).to.have.length(1);
    driver.callback(differs('99'));
    expect(mismatches(driver).map(({ closed }) => closed === null)).to.eql([false, true]);
  });
});
