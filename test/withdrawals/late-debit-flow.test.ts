import { expect } from 'chai';
import { owesDebits } from '../../src/engine/late-debit.js';
import { isBeforePeople, isUnderWay } from '../../src/engine/tasks.js';
import { declined, notFound, notSent, place, succeeded, unknown } from '../engine/flow-driver.js';
import { WithdrawalDriver } from './withdrawal-driver.js';

const restore = { action: 'restore', reason: 'the service has it in its books' } as const;
const writeOff = { action: 'write_off', reason: 'given back by hand' } as const;
const askAgain = { action: 'ask_again' } as const;
const idempotent = { idempotent: true };
const ended = { kind: 'stop', reason: 'ended' } as const;
const review = { kind: 'stop', reason: 'review' } as const;

/** No debit could be placed: the withdrawal has failed with nothing taken, as far as it knows. */
function failedWithout(debits = 1): WithdrawalDriver {
  const driver = new WithdrawalDriver([place('a')], idempotent);
  for (let nth = 1; nth < debits; nth += 1) {
    driver.answer('debit', notSent);
    driver.wait();
  }
  driver.answer('debit', declined('final'));
  expect(driver.state.end?.kind).to.equal('failed');
  return driver;
}

/** The first debit was dead; the second was built on, and paid out. */
function paidBy(second: 'paid' | 'debited'): WithdrawalDriver {
  const driver = new WithdrawalDriver([place('a'), place('b')], idempotent);
  driver.places = [place('a'), place('b')];
  driver.answer('debit', notSent);
  driver.wait();
  driver.answer('debit', succeeded);
  if (second === 'paid') driver.answer('payout', succeeded);
  return driver;
}

const restored = ({ state }: WithdrawalDriver): readonly (string | undefined)[] =>
  state.attempts
    .filter(({ order, status }) => order.operation === 'restore' && status === 'succeeded')
    .map(({ order }) => order.regarding?.orderNo);

const orderNoOf = (driver: WithdrawalDriver, no: number): string =>
  driver.attempt(no).order.orderNo;

describe('a debit that is found done too late', () => {
  it('of a withdrawal that has failed: a case; decided to restore, it is restored once, and the end stays', () => {
    const driver = failedWithout();
    expect(driver.turnsOutPaid(1)).to.eql(ended);
    expect(driver.openCases()).to.eql(['late_success']);
    expect(isUnderWay(driver.state), 'before the decision').to.equal(false);
    const { end } = driver.state;
    expect(driver.decide(restore)).to.include({ kind: 'restore', attemptNo: 2 });
    expect(isUnderWay(driver.state)).to.equal(true);
    expect(driver.kinds().slice(-2)).to.eql(['decided', 'debit_adopted']);
    expect(driver.answer('restore', succeeded)).to.eql(ended);
    expect(restored(driver)).to.eql([orderNoOf(driver, 1)]);
    expect(driver.state.end).to.equal(end);
    expect(driver.openCases()).to.eql([]);
    expect(isUnderWay(driver.state)).to.equal(false);
  });

  it('beside the one that was paid out: the excess goes back, and the withdrawal stays paid', () => {
    const driver = paidBy('paid');
    driver.turnsOutPaid(1);
    expect(driver.openCases()).to.eql(['captured_twice']);
    expect(driver.decide(restore)).to.include({ kind: 'restore' });
    driver.answer('restore', succeeded);
    expect(restored(driver)).to.eql([orderNoOf(driver, 1)]);
    expect(driver.state.end).to.include({ kind: 'succeeded', attemptNo: 3 });
  });

  it('while another is being paid out: the payout goes first, whatever becomes of it', () => {
    const driver = paidBy('debited');
    driver.answer('payout', unknown);
    driver.turnsOutPaid(1);
    expect(driver.decide(restore).kind, 'one order at a time').to.equal('wait');
    driver.wait();
    expect(driver.answer('query', succeeded)).to.include({ kind: 'restore' });
    expect(driver.state.end?.kind).to.equal('succeeded');
    driver.answer('restore', succeeded);
    expect(restored(driver)).to.eql([orderNoOf(driver, 1)]);
  });

  it('while another goes back: each is restored once, by an order of its own', () => {
    const driver = paidBy('debited');
    driver.turnsOutPaid(1);
    driver.decide(restore);
    driver.answer('payout', declined('final'));
    expect(driver.answer('restore', succeeded)).to.include({ kind: 'restore' });
    expect(driver.state.end?.kind).to.equal('failed');
    expect(driver.answer('restore', succeeded)).to.eql(ended);
    expect(restored(driver)).to.eql([orderNoOf(driver, 2), orderNoOf(driver, 1)]);
    expect(driver.openCases(), 'neither restore is a second one').to.eql([]);
  });

  it('two of them: a case and a decision each, and one that waits does not keep the other', () => {
    const driver = failedWithout(2);
    driver.turnsOutPaid(1);
    driver.turnsOutPaid(2);
    expect(driver.openCases()).to.eql(['late_success', 'captured_twice']);
    driver.decide(restore, 1);
    driver.answer('restore', notSent);
    expect(driver.next().kind).to.equal('wait');
    expect(driver.decide(restore, 2)).to.include({ kind: 'restore' });
    expect(driver.answer('restore', succeeded).kind, 'the first is still to be done').to.equal(
      'wait',
    );
    expect(driver.wait()).to.include({ kind: 'restore' });
    driver.answer('restore', succeeded);
    expect(restored(driver)).to.eql([2, 1].map((no) => orderNoOf(driver, no)));
    expect(isUnderWay(driver.state)).to.equal(false);
  });

  it('decided twice, it is adopted once', () => {
    const driver = failedWithout();
    driver.turnsOutPaid(1);
    driver.decide(restore);
    driver.answer('restore', succeeded);
    const { length } = driver.log;
    driver.decide(restore, 1);
    expect(driver.log).to.have.length(length);
    // Another case of the same debit: the service takes it a second time under its number.
    driver.add({ kind: 'captured_again', atMs: 1, attemptNo: 1, captures: 2, source: 'st' });
    expect(driver.next()).to.eql(ended);
    driver.decide(restore);
    expect(restored(driver)).to.have.length(1);
    expect(driver.openCases()).to.eql(['captured_twice']);
  });

  it('written off, it is not restored; and a decision about an open case cannot restore anything else', () => {
    const driver = failedWithout();
    driver.turnsOutPaid(1);
    driver.decide(writeOff);
    driver.decide(restore, 1);
    expect(driver.next()).to.eql(ended);
    expect(restored(driver)).to.eql([]);
    // Heard of before anything else was built on: the withdrawal goes on with it.
    const used = new WithdrawalDriver([place('a')], idempotent);
    used.answer('debit', notSent);
    used.turnsOutPaid(1);
    expect(used.openCases()).to.eql(['late_success']);
    expect(used.decide(restore).kind).to.equal('payout');
    expect(used.openCases(), 'the case is still theirs').to.eql(['late_success']);
    expect(() =>
      used.add({ kind: 'debit_adopted', atMs: used.nowMs, caseNo: 1, attemptNo: 1 }),
    ).to.throw('stays');
  });

  it('nothing goes back after the end that people did not adopt', () => {
    const driver = failedWithout();
    driver.turnsOutPaid(1);
    const wanted = driver.decide(restore);
    const other = failedWithout();
    other.turnsOutPaid(1);
    if (wanted.kind !== 'restore') throw new Error(wanted.kind);
    expect(() => other.add(wanted.intent)).to.throw('only a debit that people adopted');
    driver.answer('restore', succeeded);
    const again = { ...wanted.intent, attemptNo: 3 } as typeof wanted.intent;
    expect(() => driver.add(again)).to.throw('none after a capture');
  });

  describe('its restore', () => {
    function restoring(): WithdrawalDriver {
      const driver = failedWithout();
      driver.turnsOutPaid(1);
      driver.decide(restore);
      return driver;
    }

    it('of a process that was killed is asked about, and sent again under its number', () => {
      const driver = restoring();
      expect(driver.die('restore').kind).to.equal('query');
      expect(driver.answer('query', notFound)).to.include({ kind: 'restore', attemptNo: 2 });
      driver.answer('restore', succeeded);
      expect(driver.state.attempts).to.have.length(2);
    });

    it('that was not executed is placed again, later', () => {
      const driver = restoring();
      driver.answer('restore', notSent);
      expect(driver.wait()).to.include({ kind: 'restore', attemptNo: 3 });
      driver.answer('restore', succeeded);
      expect(restored(driver)).to.have.length(1);
    });

    it('of unknown outcome is asked to the end of its schedule, and then a case', () => {
      const driver = restoring();
      driver.answer('restore', unknown);
      expect(isBeforePeople(driver.state)).to.equal(false);
      expect(driver.exhaust()).to.eql(review);
      expect(isBeforePeople(driver.state)).to.equal(true);
      expect(isUnderWay(driver.state)).to.equal(true);
      expect(driver.decide({ action: 'mark_not_executed', proof: 'letter' }).kind).to.equal('wait');
      expect(driver.wait()).to.include({ kind: 'restore', attemptNo: 3 });
      driver.answer('restore', succeeded);
      expect(driver.openCases()).to.eql([]);
    });

    it('that fails for good is a case: another order, or seen to by hand', () => {
      const driver = restoring();
      expect(driver.answer('restore', declined('final'))).to.eql(review);
      expect(driver.openCases()).to.eql(['undo_failed']);
      expect(isUnderWay(driver.state)).to.equal(true);
      expect(driver.decide(askAgain)).to.include({ kind: 'restore', attemptNo: 3 });
      driver.answer('restore', declined('final'));
      expect(driver.decide(writeOff)).to.eql(ended);
      expect(owesDebits(driver.state)).to.equal(false);
      expect(driver.openCases()).to.eql([]);
    });
  });

  describe('that the service denies afterwards', () => {
    it('before the decision: people decide about that first', () => {
      const driver = failedWithout();
      driver.turnsOutPaid(1);
      driver.denies(1);
      expect(driver.openCases()).to.eql(['late_success', 'contradiction']);
      driver.decide(restore, 1);
      driver.decide(restore, 2);
      expect(driver.state.lateDebits).to.eql([]);
      driver.decide(writeOff, 2);
      expect(driver.decide(restore, 1)).to.include({ kind: 'restore' });
    });

    it('after the decision: nothing more is sent; decided again, it goes on', () => {
      const driver = failedWithout();
      driver.turnsOutPaid(1);
      driver.decide(restore);
      driver.answer('restore', notSent);
      expect(driver.denies(1)).to.eql(review);
      expect(isBeforePeople(driver.state)).to.equal(true);
      driver.nowMs += 86_400_000;
      expect(driver.next()).to.eql(review);
      expect(driver.decide(restore)).to.include({ kind: 'restore' });
      driver.answer('restore', succeeded);
      expect(restored(driver)).to.have.length(1);
      driver.decide(restore);
      expect(driver.next()).to.eql(ended);
    });

    it('after the decision: written off, it is not given back any more', () => {
      const driver = failedWithout();
      driver.turnsOutPaid(1);
      driver.decide(restore);
      driver.answer('restore', notSent);
      driver.denies(1);
      expect(driver.decide(writeOff)).to.eql(ended);
      expect(isUnderWay(driver.state)).to.equal(false);
      expect(restored(driver)).to.eql([]);
    });

    it('with a restore under way: that is asked about, and not sent again', () => {
      const driver = failedWithout();
      driver.turnsOutPaid(1);
      driver.decide(restore);
      driver.answer('restore', unknown);
      driver.denies(1);
      driver.wait();
      expect(driver.answer('query', notFound).kind, 'asked, not sent').to.equal('wait');
      driver.decide(writeOff);
      expect(isUnderWay(driver.state), 'what is on its way is heard of').to.equal(true);
      driver.wait();
      expect(driver.answer('query', succeeded)).to.eql(ended);
      expect(isUnderWay(driver.state)).to.equal(false);
    });
  });

  it('of a balance of ours there is none to restore', () => {
    const driver = new WithdrawalDriver([place('a')]);
    driver.answer('payout', declined('final'));
    driver.turnsOutPaid(1);
    driver.decide(restore);
    expect(driver.openCases()).to.eql(['late_success']);
    expect(driver.state.lateDebits).to.eql([]);
  });

  it('a second debit is not sent again once the first is known to have been made', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    driver.answer('debit', notSent);
    driver.wait();
    driver.answer('debit', unknown);
    driver.turnsOutPaid(1);
    driver.wait();
    expect(driver.answer('query', notFound).kind, 'asked, not sent').to.equal('wait');
  });
});
