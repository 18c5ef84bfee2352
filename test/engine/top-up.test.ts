import { expect } from 'chai';
import { stageOf, topUpFlow } from '../../src/engine/top-up.js';
import { declined, notFound, notSent, pending, place, succeeded, unknown } from './flow-driver.js';
import { hourMs, TopUpDriver } from './top-up-driver.js';

const final = declined('final');

const recorded = (driver = new TopUpDriver()): TopUpDriver => {
  driver.answer('pre_recharge', succeeded);
  return driver;
};
const paid = (driver = new TopUpDriver()): TopUpDriver => {
  recorded(driver).answer('charge', succeeded);
  return driver;
};
/** Paid, and the card system not heard of since: the hour is over. */
function unheardForAnHour(): TopUpDriver {
  const driver = paid();
  driver.answer('credit', unknown);
  driver.unheard(unknown, ['query'], driver.nowMs + hourMs);
  return driver;
}

describe('the top-up flow', () => {
  it('records at the card system, takes the payment, credits the card, in this order', () => {
    const driver = new TopUpDriver();
    expect(driver.answer('pre_recharge', succeeded).kind).to.equal('charge');
    expect(driver.answer('charge', succeeded).kind).to.equal('credit');
    expect(driver.answer('credit', succeeded)).to.deep.equal({ kind: 'stop', reason: 'ended' });
    expect(driver.state.end).to.include({ kind: 'succeeded' });
    expect(driver.of('credit').order.topUp).to.deep.equal({
      creditMinor: 120_000n,
      rule: 'spring',
    });
    expect(driver.of('credit').order.regarding?.orderNo).to.equal(
      driver.of('pre_recharge').order.orderNo,
    );
  });

  it('asks nobody to pay for what the card system refuses', () => {
    const driver = new TopUpDriver();
    expect(driver.answer('pre_recharge', final)).to.deep.equal({ kind: 'stop', reason: 'ended' });
    expect(driver.placed()).to.deep.equal(['pre_recharge']);
    expect(driver.state.end).to.include({ kind: 'failed', code: 'insufficient_funds' });
  });

  it('asks nobody to pay while it is not known whether the card system has recorded it', () => {
    const driver = new TopUpDriver();
    driver.answer('pre_recharge', unknown);
    driver.unheard(unknown, ['query']);
    expect(driver.placed()).to.deep.equal(['pre_recharge']);
  });

  it('waits for the customer, and closes an unpaid order at the channel before it ends', () => {
    const driver = recorded();
    driver.answer('charge', pending);
    const step = driver.unheard(pending, ['query'], driver.of('charge').order.expiresAtMs);
    expect(step.kind).to.equal('close');
    expect(driver.nowMs).to.equal(driver.of('charge').order.expiresAtMs);
    expect(driver.state.end).to.equal(null);
    driver.answer('close', { kind: 'closed' });
    driver.answer('void', succeeded);
    expect(driver.placed()).to.deep.equal(['pre_recharge', 'charge', 'void']);
    expect(driver.state.end).to.include({ kind: 'failed' });
  });

  it('a payment that came while its order was being closed is credited', () => {
    const driver = recorded();
    driver.answer('charge', pending);
    driver.unheard(pending, ['query'], driver.of('charge').order.expiresAtMs);
    driver.answer('close', { kind: 'refused', detail: 'paid' });
    driver.wait();
    expect(driver.answer('query', succeeded).kind).to.equal('credit');
  });

  it('a credit that is not confirmed counts as credited: no refund, no second credit, for an hour', () => {
    const driver = paid();
    const paidAtMs = driver.state.paid?.atMs ?? 0;
    driver.answer('credit', unknown);
    expect(stageOf(driver.state)).to.equal('credit_unknown');
    const step = driver.unheard(notFound, ['query', 'credit'], paidAtMs + hourMs - 1);
    expect(driver.placed()).to.deep.equal(['pre_recharge', 'charge', 'credit']);
    expect(step.kind).to.be.oneOf(['wait', 'query', 'credit', 'stop']);
    expect(driver.of('credit').closeConfirmed).to.equal(false);
  });

  it('asks about it and sends it again under the same number, never under another', () => {
    const driver = paid();
    driver.answer('credit', unknown);
    driver.wait();
    const step = driver.answer('query', notFound);
    expect(step).to.include({ kind: 'credit' });
    expect('order' in step && step.order).to.deep.equal(driver.of('credit').order);
    driver.answer('credit', succeeded);
    expect(driver.state.end).to.include({ kind: 'succeeded' });
  });

  it('after the hour: voids first, then gives the payment back once', () => {
    const driver = unheardForAnHour();
    expect(driver.next().kind).to.equal('close');
    expect(driver.answer('close', { kind: 'closed' }).kind).to.equal('void');
    expect(driver.answer('void', succeeded).kind).to.equal('refund');
    driver.answer('refund', succeeded);
    expect(driver.state.end).to.include({ kind: 'failed', code: 'not_credited' });
    expect(driver.placed()).to.deep.equal(['pre_recharge', 'charge', 'credit', 'void', 'refund']);
  });

  it('after the hour: not found alone gives nothing back', () => {
    const driver = unheardForAnHour();
    driver.answer('close', unknown);
    const step = driver.unheard(notFound, ['query']);
    // It closes again after each ask; whatever it hears, only a confirmed close ends it.
    expect(step.kind).to.equal('close');
    expect(driver.placed()).to.not.include('refund');
  });

  it('after the hour: credited after all is finished, not given back', () => {
    const driver = unheardForAnHour();
    driver.answer('close', { kind: 'refused', detail: 'credited' });
    const step = driver.next();
    if (step.kind === 'wait') driver.wait();
    else driver.receive({ kind: 'ask', by: 'settlement' });
    driver.answer('query', succeeded);
    expect(driver.state.end).to.include({ kind: 'succeeded' });
    expect(driver.placed()).to.not.include('refund');
  });

  it('a person waits where nothing can be asked any more, and the sweep may ask anew', () => {
    const driver = unheardForAnHour();
    driver.answer('close', unknown);
    driver.unheard(unknown, ['query', 'close']);
    expect(driver.next()).to.deep.equal({ kind: 'stop', reason: 'review' });
    expect(driver.cases()).to.deep.equal(['outcome_unknown']);
    expect(driver.placed()).to.not.include('refund');
    expect(driver.receive({ kind: 'ask', by: 'settlement' }).kind).to.equal('query');
    driver.answer('query', succeeded);
    expect(driver.state.end).to.include({ kind: 'succeeded' });
    expect(driver.state.cases.every(({ closed }) => closed !== null)).to.equal(true);
  });

  it('a card system that is away is waited for to the end of the hour, with new numbers only by proof', () => {
    const driver = paid();
    const paidAtMs = driver.state.paid?.atMs ?? 0;
    driver.answer('credit', notSent);
    const step = driver.unheard(notSent, ['credit'], paidAtMs + hourMs - 1);
    expect(step.kind).to.equal('wait');
    expect(driver.placed()).to.not.include('void');
    driver.wait();
    expect(driver.nowMs).to.equal(paidAtMs + hourMs);
    expect(driver.next().kind).to.equal('void');
  });

  it('refused for good, it goes back at once: void, then refund', () => {
    const driver = paid();
    expect(driver.answer('credit', final).kind).to.equal('void');
    expect(driver.answer('void', succeeded).kind).to.equal('refund');
    driver.answer('refund', succeeded);
    expect(driver.state.end).to.include({ kind: 'failed', code: 'insufficient_funds' });
  });

  it('a void whose outcome is not known gives nothing back', () => {
    const driver = paid();
    driver.answer('credit', final);
    driver.answer('void', unknown);
    driver.unheard(unknown, ['query']);
    expect(driver.next()).to.deep.equal({ kind: 'stop', reason: 'review' });
    expect(driver.placed()).to.not.include('refund');
  });

  it('a void refused because it is credited is a case, and nothing goes back', () => {
    const driver = paid();
    driver.answer('credit', final);
    expect(driver.answer('void', final)).to.deep.equal({ kind: 'stop', reason: 'review' });
    expect(driver.cases()).to.deep.equal(['undo_failed']);
    expect(driver.placed()).to.not.include('refund');
    // The card system's word that it was credited after all ends it.
    driver.hears('credit', succeeded);
    expect(driver.state.end).to.include({ kind: 'succeeded' });
    expect(driver.placed()).to.not.include('refund');
  });

  it('a void that people have seen to by hand lets the refund go', () => {
    const driver = paid();
    driver.answer('credit', final);
    driver.answer('void', final);
    expect(driver.decide('write_off').kind).to.equal('refund');
  });

  it('a refund that is declined is a case; asked again, another one is tried', () => {
    const driver = paid();
    driver.answer('credit', final);
    driver.answer('void', succeeded);
    expect(driver.answer('refund', final)).to.deep.equal({ kind: 'stop', reason: 'review' });
    expect(driver.cases()).to.deep.equal(['undo_failed']);
    expect(driver.decide('ask_again').kind).to.equal('refund');
    driver.answer('refund', succeeded);
    expect(driver.state.end).to.include({ kind: 'failed' });
  });

  it('a credit that turns up after the void stops the refund that was not sent', () => {
    const driver = paid();
    driver.answer('credit', final);
    driver.answer('void', unknown);
    driver.hears('credit', succeeded);
    driver.unheard(succeeded, ['query']);
    expect(driver.placed()).to.not.include('refund');
    expect(driver.cases()).to.include('late_success');
    expect(driver.state.end).to.include({ kind: 'succeeded' });
  });

  it('a credit that turns up while the refund is unknown: the refund is asked about, not sent again', () => {
    const driver = paid();
    driver.answer('credit', final);
    driver.answer('void', succeeded);
    driver.answer('refund', unknown);
    driver.hears('credit', succeeded);
    const step = driver.unheard(notFound, ['query']);
    expect(step).to.deep.equal({ kind: 'stop', reason: 'review' });
    expect(driver.of('refund').sends).to.equal(1);
    expect(driver.state.end).to.equal(null);
    expect(driver.cases()).to.include('late_success');
  });

  it('a credit after the refund is told as both, for people', () => {
    const driver = paid();
    driver.answer('credit', final);
    driver.answer('void', succeeded);
    driver.answer('refund', succeeded);
    driver.hears('credit', succeeded);
    expect(driver.cases()).to.deep.equal(['late_success']);
    expect(driver.state.end).to.include({ kind: 'failed' });
  });

  function unpaid(): TopUpDriver {
    const driver = recorded();
    driver.answer('charge', pending);
    driver.unheard(pending, ['query'], driver.of('charge').order.expiresAtMs);
    driver.answer('close', { kind: 'closed' });
    return driver;
  }

  it('a payment heard while it is voided goes back', () => {
    const driver = unpaid();
    driver.answer('void', unknown);
    driver.hears('charge', succeeded);
    driver.wait();
    expect(driver.answer('query', succeeded).kind).to.equal('refund');
    driver.answer('refund', succeeded);
    expect(driver.state.end).to.include({ kind: 'failed', code: 'paid_too_late' });
  });

  it('a payment heard after the top-up has failed opens it again, and goes back once', () => {
    const driver = unpaid();
    driver.answer('void', succeeded);
    expect(driver.state.end).to.include({ kind: 'failed' });
    expect(driver.hears('charge', succeeded).kind).to.equal('refund');
    expect(driver.state.end).to.equal(null);
    driver.answer('refund', succeeded);
    expect(driver.state.end).to.include({ kind: 'failed', code: 'paid_too_late' });
    expect(driver.hears('charge', succeeded)).to.deep.equal({ kind: 'stop', reason: 'ended' });
    expect(driver.placed().filter((one) => one === 'refund')).to.have.length(1);
  });

  it('a channel that contradicts the proof by which its order was dead is a case besides', () => {
    const driver = unpaid();
    driver.answer('void', succeeded);
    driver.hears('charge', succeeded);
    expect(driver.cases()).to.deep.equal(['late_success']);
  });

  it('a second payment is a case, and the one that was credited stays so', () => {
    const driver = new TopUpDriver([
      place('first', { idempotent: true }),
      place('second', { idempotent: true }),
    ]);
    recorded(driver).answer('charge', declined('other_channel'));
    driver.answer('charge', succeeded);
    driver.answer('credit', succeeded);
    driver.hears('charge', succeeded, 0);
    expect(driver.cases()).to.deep.equal(['captured_twice']);
    expect(driver.state.paid?.no).to.equal(driver.of('charge', 1).no);
    expect(driver.state.end).to.include({ kind: 'succeeded' });
  });

  it('a payment that goes back is the one that was made first, not another found besides', () => {
    const driver = new TopUpDriver([
      place('first', { idempotent: true }),
      place('second', { idempotent: true }),
    ]);
    recorded(driver).answer('charge', declined('other_channel'));
    driver.answer('charge', succeeded);
    driver.answer('credit', unknown);
    driver.hears('charge', succeeded, 0);
    driver.decide('write_off');
    driver.unheard(unknown, ['query'], (driver.state.paid?.atMs ?? 0) + hourMs);
    driver.answer('close', { kind: 'closed' });
    driver.answer('void', succeeded);
    const step = driver.next();
    expect('order' in step && step.order.refundOf?.orderNo).to.equal(
      driver.of('charge', 1).order.orderNo,
    );
  });

  it('paid at one channel while another order is out: that one is closed, and not sent again', () => {
    const driver = new TopUpDriver([
      place('first', { idempotent: true }),
      place('second', { idempotent: true, closeProof: 'refuses_unseen' }),
    ]);
    recorded(driver).answer('charge', declined('other_channel'));
    driver.answer('charge', pending);
    driver.hears('charge', succeeded, 0);
    const step = driver.unheard(pending, ['query']);
    expect(step.kind).to.equal('close');
    expect(driver.nowMs).to.be.below(driver.of('charge', 1).order.expiresAtMs);
    expect(driver.answer('close', { kind: 'closed' }).kind).to.equal('credit');
  });

  it('no decision credits by decree what has ended', () => {
    const driver = unpaid();
    driver.answer('void', succeeded);
    const decision = { action: 'adopt_captured', channelRef: 'r', proof: 'p' } as const;
    const evidence = {
      kind: 'decision',
      caseNo: 1,
      decision,
      by: 'ann',
      approvedBy: 'ben',
    } as const;
    expect(topUpFlow.receive(driver.state, evidence, driver.nowMs)).to.deep.equal([]);
  });
});
