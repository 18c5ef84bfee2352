import { expect } from 'chai';
import type { Entry } from '../../src/engine/entries.js';
import { orderNo } from '../../src/ids.js';
import {
  declined,
  nature,
  notFound,
  notSent,
  place,
  someTask,
  succeeded,
  unknown,
} from '../engine/flow-driver.js';
import { WithdrawalDriver } from './withdrawal-driver.js';

const writeOff = { action: 'write_off', reason: 'given back by hand' } as const;
const adopt = { action: 'adopt_captured', channelRef: 'r9', proof: 'bank advice 17' } as const;
const never = { action: 'mark_not_executed', proof: 'letter of the channel' } as const;
const askAgain = { action: 'ask_again' } as const;
/** Sent again under the same number it is done once. */
const idempotent = { idempotent: true };

const failedWith = (driver: WithdrawalDriver): string | null =>
  driver.state.end?.kind === 'failed' ? driver.state.end.code : null;

describe('a withdrawal from a balance of ours', () => {
  it('is paid out, and ends', () => {
    const driver = new WithdrawalDriver([place('a')]);
    expect(driver.answer('payout', succeeded)).to.eql({ kind: 'stop', reason: 'ended' });
    expect(driver.state.end?.kind).to.equal('succeeded');
  });

  it('goes to the next channel on a definite answer, and fails when none is left', () => {
    const driver = new WithdrawalDriver([place('a'), place('b')]);
    expect(driver.answer('payout', declined('other_channel'))).to.include({ kind: 'payout' });
    driver.answer('payout', notSent);
    expect(failedWith(driver)).to.equal('channels_exhausted');
    expect(driver.kinds().filter((kind) => kind === 'failed')).to.have.length(1);
  });

  it('is not given back while its outcome is not known, however long that lasts', () => {
    const driver = new WithdrawalDriver([place('a'), place('b')]);
    driver.answer('payout', unknown);
    expect(driver.exhaust()).to.eql({ kind: 'stop', reason: 'review' });
    expect(driver.state.end).to.equal(null);
    expect(driver.state.attempts, 'no other channel').to.have.length(1);
    expect(driver.openCases()).to.eql(['outcome_unknown']);
  });

  it('cannot be logged as failed while an order may have paid', () => {
    const driver = new WithdrawalDriver([place('a')]);
    driver.answer('payout', unknown);
    const failed: Entry = { kind: 'failed', atMs: driver.nowMs, code: 'x', detail: '' };
    expect(() => driver.add(failed)).to.throw('nothing is live');
    driver.turnsOutPaid(1);
    expect(() => driver.add(failed)).to.throw('has not failed');
  });

  it('after a kill in mid-payout asks, and pays nobody twice', () => {
    const driver = new WithdrawalDriver([place('a'), place('b')]);
    expect(driver.die('payout').kind).to.equal('query');
    driver.answer('query', succeeded);
    expect(driver.state.end?.kind).to.equal('succeeded');
    expect(driver.state.attempts).to.have.length(1);
  });

  it('paid late, after it was given back: a case, and nothing is adopted', () => {
    const driver = new WithdrawalDriver([place('a')]);
    driver.answer('payout', declined('other_channel'));
    expect(failedWith(driver)).to.equal('channels_exhausted');
    expect(driver.turnsOutPaid(1)).to.eql({ kind: 'stop', reason: 'ended' });
    expect(driver.openCases()).to.eql(['late_success']);
    expect(driver.attempt(1).excessSeq, 'owed to us').to.not.equal(null);
    driver.decide(adopt);
    expect(failedWith(driver)).to.equal('channels_exhausted');
    expect(driver.openCases()).to.eql(['late_success']);
    driver.decide(writeOff);
    expect(driver.openCases()).to.eql([]);
  });

  it('paid late by one channel while the next is still asked: paid once, the other asked on', () => {
    const driver = new WithdrawalDriver([place('a'), place('b')]);
    driver.answer('payout', declined('other_channel'));
    driver.answer('payout', unknown);
    driver.turnsOutPaid(1);
    driver.exhaust();
    expect(driver.state.end).to.include({ kind: 'succeeded', attemptNo: 1 });
    expect(driver.openCases()).to.eql(['late_success', 'outcome_unknown']);
    // What became of the other can still be decided after the end.
    driver.decide(adopt);
    expect(driver.openCases()).to.include('captured_twice');
    expect(driver.state.attempts.map(({ excessSeq }) => excessSeq === null)).to.eql([true, false]);
  });

  it('a person decides what nobody can ask: paid, or not and then the next channel', () => {
    const paid = new WithdrawalDriver([place('a')]);
    paid.answer('payout', unknown);
    paid.exhaust();
    paid.decide(adopt);
    expect(paid.state.end?.kind).to.equal('succeeded');
    const not = new WithdrawalDriver([place('a'), place('b')]);
    not.answer('payout', unknown);
    not.exhaust();
    not.decide(never);
    expect(not.state.attempts[0]?.status).to.equal('not_executed');
    expect(not.openCases()).to.eql([]);
  });
});

describe('a withdrawal from an account elsewhere: two remote steps', () => {
  it('debits, then pays out', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    expect(driver.answer('debit', succeeded)).to.include({ kind: 'payout' });
    driver.answer('payout', succeeded);
    expect(driver.state.end).to.include({ kind: 'succeeded', attemptNo: 2 });
  });

  it('pays out nothing that was not debited', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    const order = { ...driver.begin('debit').order, orderNo: orderNo(someTask, 2) };
    const refused = { kind: 'intended', atMs: 0, attemptNo: 2, nature: nature() } as const;
    expect(() => driver.add({ ...refused, order: { ...order, operation: 'payout' } })).to.throw(
      'not taken',
    );
    driver.add({ kind: 'taken_over', atMs: driver.nowMs, attemptNo: 1, by: 'other' });
    driver.answer('query', declined('final'));
    expect(failedWith(driver)).to.equal('insufficient_funds');
    expect(driver.state.attempts, 'nothing to restore').to.have.length(1);
  });

  it('the first call succeeded, the second never will: the debit is restored, and only then it has failed', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    driver.answer('debit', succeeded);
    const step = driver.answer('payout', declined('final'));
    expect(step).to.include({ kind: 'restore' });
    expect(driver.state.end).to.equal(null);
    if (step.kind !== 'restore') return;
    expect(step.order.regarding).to.eql({
      orderNo: driver.attempt(1).order.orderNo,
      channelRef: 'ref',
    });
    driver.answer('restore', succeeded);
    expect(failedWith(driver)).to.equal('insufficient_funds');
    expect(driver.state.attempts.map(({ order }) => order.operation)).to.eql([
      'debit',
      'payout',
      'restore',
    ]);
  });

  it('restores nothing while the payout is not known', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    driver.answer('debit', succeeded);
    driver.answer('payout', unknown);
    expect(driver.exhaust()).to.eql({ kind: 'stop', reason: 'review' });
    expect(driver.state.attempts).to.have.length(2);
    expect(driver.openCases()).to.eql(['outcome_unknown']);
  });

  it('a restore of unknown outcome is asked about and sent again under its number, never under another', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    driver.answer('debit', succeeded);
    driver.answer('payout', declined('final'));
    const no = driver.attempt(1).order.orderNo;
    expect(driver.die('restore').kind).to.equal('query');
    expect(driver.answer('query', notFound)).to.include({ kind: 'restore', attemptNo: 3 });
    driver.answer('restore', succeeded);
    expect(driver.state.attempts).to.have.length(3);
    expect(driver.attempt(3).order.regarding?.orderNo).to.equal(no);
    expect(failedWith(driver)).to.equal('insufficient_funds');
  });

  it('paid after all while it is being restored: the restore is not sent again, whatever is not found', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    driver.answer('debit', succeeded);
    driver.answer('payout', declined('final'));
    driver.answer('restore', unknown);
    driver.turnsOutPaid(2);
    while (driver.next().kind === 'wait') driver.wait();
    expect(driver.answer('query', notFound).kind, 'asked about, not sent').to.equal('wait');
    // Proven not restored by two people: what was paid stays paid.
    driver.exhaust();
    driver.decide(never);
    expect(driver.state.end).to.include({ kind: 'succeeded', attemptNo: 2 });
  });

  it('paid after all, and restored: a case, and what was paid is owed to us', () => {
    const driver = new WithdrawalDriver([place('a')], idempotent);
    driver.answer('debit', succeeded);
    driver.answer('payout', declined('final'));
    driver.answer('restore', unknown);
    driver.turnsOutPaid(2);
    driver.turnsOutPaid(3);
    expect(failedWith(driver)).to.equal('paid_and_restored');
    expect(driver.openCases()).to.include('late_success');
    expect(driver.attempt(2).excessSeq).to.not.equal(null);
  });

  describe('a restore that cannot be done', () => {
    function stuck(): WithdrawalDriver {
      const driver = new WithdrawalDriver([place('a')], idempotent);
      driver.answer('debit', succeeded);
      driver.answer('payout', declined('final'));
      driver.answer('restore', declined('final'));
      expect(driver.next()).to.eql({ kind: 'stop', reason: 'review' });
      expect(driver.openCases()).to.eql(['undo_failed']);
      expect(driver.state.end).to.equal(null);
      return driver;
    }

    it('is a case; seen to by hand, the withdrawal has failed', () => {
      const driver = stuck();
      driver.decide(writeOff);
      expect(failedWith(driver)).to.equal('insufficient_funds');
      expect(driver.openCases()).to.eql([]);
    });

    it('is tried again with another order, when two people say so', () => {
      const driver = stuck();
      expect(driver.decide(askAgain)).to.include({ kind: 'restore', attemptNo: 4 });
      driver.answer('restore', succeeded);
      expect(failedWith(driver)).to.equal('insufficient_funds');
    });

    it('is a case again when the other order does not do it either', () => {
      const driver = stuck();
      driver.decide(askAgain);
      driver.answer('restore', declined('final'));
      expect(driver.openCases()).to.eql(['undo_failed']);
      driver.decide(writeOff);
      expect(failedWith(driver)).to.equal('insufficient_funds');
    });

    it('no decision but these moves it', () => {
      const driver = stuck();
      const length = driver.log.length;
      driver.decide(adopt);
      driver.decide(never);
      expect(driver.log).to.have.length(length);
    });
  });
});
