import { expect } from 'chai';
import type { Entry } from '../../src/engine/entries.js';
import type { Step } from '../../src/engine/flow.js';
import { fold } from '../../src/engine/flow.js';
import type { Answer } from '../../src/engine/reply.js';
import { taskFlow, type Task } from '../../src/engine/tasks.js';
import { channelId, orderNo, repaymentId } from '../../src/ids.js';
import { amountMinor } from '../../src/money.js';
import {
  declined,
  nature,
  notFound,
  notSent,
  someTask,
  startMs,
  succeeded,
  unknown,
} from './flow-driver.js';

/** Drives a refund by hand, as the executor does. */
class RefundDriver {
  state: Task;
  nowMs = startMs;

  constructor(idempotent = false) {
    const first: Entry = {
      kind: 'refund_accepted',
      atMs: startMs,
      refund: {
        id: someTask,
        deductionId: someTask,
        attemptNo: 1,
        channelId: channelId('swiftpay'),
        captureOrderNo: orderNo(someTask, 1),
        channelRef: 'ref',
        amountMinor: amountMinor(50_000),
        currency: 'CNY',
        account: { token: 'tok_1', bankCode: 'ICBC', last4: '4321' },
        from: 'excess',
        repaymentId: repaymentId('rp_1'),
        requestKey: 'k',
        reason: 'captured twice',
        requestedBy: 'ann',
        approvedBy: 'ben',
        orderTtlMs: 60_000,
        nature: nature({ idempotent }),
      },
    };
    const state = fold(taskFlow, [first]);
    if (state === null) throw new Error('no state');
    this.state = state;
  }

  add(entry: Entry): void {
    this.state = taskFlow.evolve(this.state, entry);
  }

  next(): Step {
    for (let rounds = 0; rounds < 20; rounds += 1) {
      const step = taskFlow.next(this.state, this.nowMs);
      if (step.kind !== 'record') return step;
      for (const entry of step.entries) this.add(entry);
    }
    throw new Error('the flow goes round in circles');
  }

  answer(kind: 'refund' | 'query', answer: Answer): Step {
    const step = this.next();
    if (step.kind !== kind) throw new Error(`the flow wants ${step.kind}, not ${kind}`);
    if (step.kind === 'refund') this.add(step.intent);
    const sentAtMs = this.nowMs;
    this.nowMs += 50;
    const { attemptNo } = step;
    this.add({ kind: 'replied', atMs: this.nowMs, attemptNo, via: kind, answer, sentAtMs });
    return this.next();
  }

  wait(): Step {
    const step = this.next();
    if (step.kind !== 'wait') throw new Error(`the flow wants ${step.kind}, not to wait`);
    this.nowMs = step.untilMs;
    return this.next();
  }

  get cases(): string[] {
    return this.state.cases.filter(({ closed }) => closed === null).map(({ reason }) => reason);
  }
}

describe('the refund flow', () => {
  it('gives back once and ends', () => {
    const driver = new RefundDriver();
    expect(driver.answer('refund', succeeded)).to.include({ kind: 'stop', reason: 'ended' });
    expect(driver.state.end?.kind).to.equal('succeeded');
  });

  it('asks about an unknown outcome, and never places a new order meanwhile', () => {
    const driver = new RefundDriver();
    driver.answer('refund', unknown);
    for (const _ of [1, 2, 3]) {
      driver.wait();
      driver.answer('query', notFound);
    }
    expect(driver.next()).to.include({ kind: 'stop', reason: 'review' });
    expect(driver.cases).to.deep.equal(['outcome_unknown']);
    expect(driver.state.attempts).to.have.length(1);
  });

  it('sends the same order again to an idempotent channel that has not found it', () => {
    const driver = new RefundDriver(true);
    driver.answer('refund', unknown);
    driver.wait();
    const step = driver.answer('query', notFound);
    expect(step).to.include({ kind: 'refund', attemptNo: 1 });
    expect(step.kind === 'refund' && step.intent.kind).to.equal('resend_intended');
  });

  it('places a new order later where the first provably was not executed', () => {
    const driver = new RefundDriver();
    expect(driver.answer('refund', notSent).kind).to.equal('wait');
    const again = driver.wait();
    expect(again).to.include({ kind: 'refund', attemptNo: 2 });
  });

  it('ends with a case when it is refused for good: the money is still owed back', () => {
    const driver = new RefundDriver();
    driver.answer('refund', declined('final'));
    expect(driver.state.end?.kind).to.equal('failed');
    expect(driver.cases).to.deep.equal(['refund_failed']);
  });

  it('ends with a case when it was tried for two days in vain', () => {
    const driver = new RefundDriver();
    for (let tries = 0; tries < 8 && driver.state.end === null; tries += 1) {
      if (driver.next().kind === 'wait') driver.wait();
      driver.answer('refund', notSent);
    }
    expect(driver.state.end?.kind).to.equal('failed');
    expect(driver.cases).to.deep.equal(['refund_failed']);
  });
});
