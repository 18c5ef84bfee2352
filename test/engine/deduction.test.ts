import { expect } from 'chai';
import {
  declined,
  FlowDriver,
  notFound,
  notSent,
  pending,
  place,
  succeeded,
  ttlMs,
  unknown,
  visibilityMs,
} from './flow-driver.js';

const two = () => new FlowDriver([place('first'), place('second')]);

describe('the deduction flow', () => {
  it('settles a success and stops', () => {
    const flow = two();
    expect(flow.answer('charge', succeeded)).to.deep.equal({ kind: 'stop', reason: 'ended' });
    expect(flow.kinds().slice(2)).to.deep.equal(['charge_intended', 'replied', 'settled']);
  });

  it('ends at a final decline without trying another channel', () => {
    const flow = two();
    expect(flow.answer('charge', declined('final'))).to.include({ kind: 'stop' });
    expect(flow.state.end).to.include({ kind: 'failed', code: 'insufficient_funds' });
    expect(flow.state.attempts).to.have.length(1);
  });

  it('goes to the next channel on a decline that another may not share', () => {
    const flow = two();
    const step = flow.answer('charge', declined('other_channel'));
    expect(step).to.include({ kind: 'charge', attemptNo: 2 });
    expect(flow.answer('charge', declined('other_channel'))).to.include({ kind: 'stop' });
    expect(flow.state.end).to.include({ code: 'channels_exhausted' });
  });

  it('goes to the next channel when nothing was sent', () => {
    expect(two().answer('charge', notSent)).to.include({ kind: 'charge', attemptNo: 2 });
  });

  it('plans the route anew when it has grown old', () => {
    const flow = two();
    flow.answer('charge', pending);
    flow.nowMs += 3_600_000;
    const step = flow.answer('query', declined('other_channel'));
    expect(step).to.include({ kind: 'route' });
    expect(step.kind === 'route' && step.request.exclude).to.deep.equal(['first']);
  });

  it('starts no new attempt after the deadline of the request', () => {
    const flow = new FlowDriver([place('first'), place('second')], 3_600_000);
    flow.answer('charge', pending);
    flow.nowMs += 3_600_000;
    expect(flow.answer('query', declined('other_channel'))).to.include({ kind: 'stop' });
    expect(flow.state.end).to.include({ kind: 'failed', code: 'deadline_passed' });
  });

  describe('an outcome that is not known', () => {
    for (const answer of [unknown, pending]) {
      it(`is asked about on the schedule, never charged again (${answer.kind})`, () => {
        const flow = two();
        expect(flow.answer('charge', answer)).to.deep.include({ kind: 'wait' });
        expect(flow.wait()).to.include({ kind: 'query', attemptNo: 1 });
        flow.answer('query', unknown);
        expect(flow.wait()).to.include({ kind: 'query' });
        expect(flow.answer('query', succeeded)).to.include({ kind: 'stop' });
        expect(flow.state.attempts).to.have.length(1);
      });
    }

    it('goes before a person when the schedule is used up', () => {
      const flow = two();
      flow.answer('charge', unknown);
      for (let asks = 0; asks < 3; asks += 1) {
        flow.wait();
        flow.answer('query', unknown);
      }
      expect(flow.next()).to.deep.equal({ kind: 'stop', reason: 'review' });
      expect(flow.state.cases).to.have.length(1);
      expect(flow.state.end).to.equal(null);
      expect(flow.next(), 'no second case').to.include({ kind: 'stop' });
      expect(flow.state.cases).to.have.length(1);
    });

    it('is still settled by an answer that comes to the person first', () => {
      const flow = two();
      flow.answer('charge', unknown);
      for (let asks = 0; asks < 3; asks += 1) {
        flow.wait();
        flow.answer('query', unknown);
      }
      expect(flow.callback(succeeded)).to.include({ kind: 'stop', reason: 'ended' });
      expect(flow.state.end).to.include({ kind: 'succeeded' });
      expect(flow.state.cases[0]?.closed).not.to.equal(null);
    });

    it('is asked about anew when a person wants it', () => {
      const flow = two();
      flow.answer('charge', unknown);
      for (let asks = 0; asks < 3; asks += 1) {
        flow.wait();
        flow.answer('query', unknown);
      }
      expect(flow.receive({ kind: 'ask', by: 'op' })).to.include({ kind: 'query' });
    });

    it('after a crash is asked about at once, never sent blindly', () => {
      const flow = two();
      expect(flow.die('charge')).to.include({ kind: 'query', attemptNo: 1 });
    });

    it('refuses to guess where an open call was not taken over', () => {
      const flow = two();
      const step = flow.next();
      if (step.kind !== 'charge') throw new Error('expected a charge');
      flow.add(step.intent);
      expect(() => flow.next()).to.throw(/taken over/);
    });
  });

  describe('not found', () => {
    const asked = (fields: Parameters<typeof place>[1]) => {
      const flow = new FlowDriver([place('first', fields), place('second')]);
      flow.answer('charge', unknown);
      flow.wait();
      return flow;
    };

    it('proves nothing at a channel that neither expires nor closes nor repeats', () => {
      const flow = asked({});
      for (let asks = 0; asks < 3; asks += 1) {
        const step = flow.answer('query', notFound);
        if (step.kind === 'wait') flow.wait();
      }
      expect(flow.next()).to.deep.equal({ kind: 'stop', reason: 'review' });
      expect(flow.state.attempts).to.have.length(1);
    });

    it('is proof only when asked after expiry and visibility window', () => {
      const flow = asked({ honoursExpiry: true, pollScheduleMs: [1_000] });
      const { expiresAtMs } = flow.attempt().order;
      expect(flow.answer('query', notFound)).to.deep.equal({
        kind: 'wait',
        untilMs: expiresAtMs + visibilityMs,
      });
      // Sent just before the moment, answered after it: still no proof.
      flow.nowMs = expiresAtMs + visibilityMs - 1;
      flow.add({
        kind: 'replied',
        atMs: expiresAtMs + visibilityMs + 500,
        attemptNo: 1,
        via: 'query',
        answer: { kind: 'not_found' },
        sentAtMs: expiresAtMs + visibilityMs - 1,
      });
      expect(flow.attempt().status).to.equal('unknown');
      expect(flow.next().kind).not.to.equal('charge');
    });

    it('at the moment of proof goes to the next channel', () => {
      const flow = asked({ honoursExpiry: true });
      flow.nowMs = flow.attempt().order.expiresAtMs + visibilityMs;
      const step = flow.answer('query', notFound);
      expect(flow.attempt(1)).to.include({ status: 'not_executed', proof: 'expired_unseen' });
      expect(['charge', 'route']).to.include(step.kind);
    });

    it('is no proof while the channel, by its own clock, may still start the order: ours may be ahead', () => {
      const flow = asked({ honoursExpiry: true });
      const deadAtMs = flow.attempt().order.expiresAtMs + visibilityMs;
      flow.nowMs = deadAtMs;
      const step = flow.answer('query', { ...notFound, saidAtMs: deadAtMs - 290_000 });
      expect(flow.attempt().status).to.equal('unknown');
      expect(step, 'and it is asked when it is time there').to.include({ kind: 'wait' });
      flow.nowMs += 290_000;
      flow.answer('query', { ...notFound, saidAtMs: deadAtMs + 50 });
      expect(flow.attempt(1)).to.include({ status: 'not_executed', proof: 'expired_unseen' });
    });

    it('is no earlier proof where the clock of the channel is ahead', () => {
      const flow = asked({ honoursExpiry: true });
      const deadAtMs = flow.attempt().order.expiresAtMs + visibilityMs;
      flow.nowMs = deadAtMs - 10_000;
      flow.answer('query', { ...notFound, saidAtMs: deadAtMs + 280_000 });
      expect(flow.attempt().status).to.equal('unknown');
    });

    it('is no proof of an order that the channel has shown before', () => {
      const flow = new FlowDriver([place('first', { honoursExpiry: true }), place('second')]);
      flow.answer('charge', pending);
      flow.nowMs += ttlMs + visibilityMs;
      flow.answer('query', notFound);
      expect(flow.attempt().status).to.equal('pending');
      expect(flow.next().kind).to.equal('wait');
    });

    it('closes the order where a close is proof, and believes only the confirmation', () => {
      const flow = asked({ closeProof: 'refuses_unseen' });
      expect(flow.answer('query', notFound)).to.include({ kind: 'close' });
      expect(flow.answer('close', { kind: 'not_found' })).to.include({ kind: 'wait' });
      flow.wait();
      flow.answer('query', notFound);
      expect(flow.answer('close', { kind: 'closed' })).to.include({ kind: 'charge', attemptNo: 2 });
      expect(flow.attempt(1)).to.include({ proof: 'closed' });
    });

    it('takes a close that was refused as a sign of life', () => {
      const flow = asked({ closeProof: 'refuses_unseen' });
      flow.answer('query', notFound);
      expect(flow.answer('close', { kind: 'refused', detail: '' })).to.include({ kind: 'wait' });
      flow.wait();
      expect(flow.answer('query', notFound), 'no second close').to.include({ kind: 'wait' });
    });

    it('sends the same order again, byte-identical, where that is safe', () => {
      const flow = asked({ idempotent: true });
      const first = flow.attempt().order;
      const step = flow.answer('query', notFound);
      expect(step).to.include({ kind: 'charge', attemptNo: 1 });
      expect(step.kind === 'charge' && step.order).to.deep.equal(first);
      expect(flow.answer('charge', succeeded)).to.include({ kind: 'stop' });
      expect(flow.state.attempts).to.have.length(1);
    });

    it('does not send an expired order again', () => {
      const flow = asked({ idempotent: true, honoursExpiry: true });
      flow.nowMs = flow.attempt().order.expiresAtMs;
      expect(flow.answer('query', notFound).kind).to.equal('wait');
    });

    it('"not sent" of a second send says nothing about the first', () => {
      const flow = asked({ idempotent: true });
      flow.answer('query', notFound);
      expect(flow.answer('charge', notSent).kind).to.equal('wait');
      expect(flow.attempt().status).to.equal('unknown');
    });

    it('"not sent" after a takeover says nothing about the old holder', () => {
      const flow = new FlowDriver([place('first', { idempotent: true }), place('second')]);
      flow.die('charge');
      flow.answer('query', notFound);
      expect(flow.answer('charge', notSent).kind).to.equal('wait');
    });
  });

  describe('what comes late or differs', () => {
    it('records a success after the failure and lays it before a person', () => {
      const flow = two();
      flow.answer('charge', declined('final'));
      flow.callback(succeeded);
      expect(flow.state.end, 'a terminal state does not move').to.include({ kind: 'failed' });
      expect(flow.state.cases[0]).to.include({ reason: 'late_success' });
      const entries = flow.log.length;
      flow.callback(succeeded);
      expect(flow.log, 'the same callback again says nothing new').to.have.length(entries);
    });

    it('starts nothing more after a late success, and settles by it', () => {
      const flow = two();
      flow.answer('charge', declined('other_channel'));
      flow.answer('charge', pending);
      const { orderNo } = flow.attempt(1).order;
      flow.receive({ kind: 'callback', orderNo, read: () => succeeded });
      flow.wait();
      expect(flow.answer('query', declined('other_channel'))).to.include({ kind: 'stop' });
      expect(flow.state.end).to.include({ kind: 'succeeded', attemptNo: 1 });
    });

    it('finds that two attempts were captured', () => {
      const flow = two();
      flow.answer('charge', declined('other_channel'));
      flow.answer('charge', succeeded);
      const { orderNo } = flow.attempt(1).order;
      flow.receive({ kind: 'callback', orderNo, read: () => succeeded });
      expect(flow.state.cases.map((one) => one.reason)).to.deep.equal(['captured_twice']);
    });

    it('makes a mismatch a case, and does not move', () => {
      const flow = two();
      const answer = { kind: 'mismatch', field: 'amount', ours: '1', theirs: '2' } as const;
      const step = flow.answer('charge', answer);
      expect(flow.attempt().status).to.equal('unknown');
      expect(step).to.include({ kind: 'wait' });
      expect(flow.state.cases[0]).to.include({ reason: 'mismatch' });
    });

    it('makes a channel that takes back a success a case', () => {
      const flow = two();
      flow.answer('charge', succeeded);
      flow.callback(declined('final'));
      expect(flow.state.end).to.include({ kind: 'succeeded' });
      expect(flow.state.cases[0]).to.include({ reason: 'contradiction' });
    });

    it('settles by a callback before the first poll', () => {
      const flow = two();
      flow.answer('charge', pending);
      expect(flow.callback(succeeded)).to.include({ kind: 'stop' });
      expect(flow.state.end).to.include({ kind: 'succeeded' });
    });

    it('does not know an order that is not its own', () => {
      const flow = two();
      flow.answer('charge', pending);
      const before = flow.log.length;
      flow.receive({ kind: 'callback', orderNo: 'RX' as never, read: () => succeeded });
      expect(flow.log).to.have.length(before);
    });
  });

  describe('found by a hostile review', () => {
    it('sends nothing more once another attempt is known to be captured', () => {
      const flow = new FlowDriver([place('first'), place('second', { idempotent: true })]);
      flow.answer('charge', declined('other_channel'));
      // The second attempt's intent is committed and the process dies; the first turns out captured.
      flow.die('charge');
      const { orderNo } = flow.attempt(1).order;
      flow.receive({ kind: 'callback', orderNo, read: () => succeeded });
      const steps = [];
      for (let rounds = 0; rounds < 8; rounds += 1) {
        const step = flow.next();
        steps.push(step.kind);
        if (step.kind === 'wait') flow.nowMs = step.untilMs;
        else if (step.kind === 'query') flow.answer('query', notFound);
        else break;
      }
      expect(steps).not.to.include('charge');
      // What was captured is credited; the attempt that nobody can prove dead stays a case.
      expect(flow.state.end).to.include({ kind: 'succeeded', attemptNo: 1 });
      const open = flow.state.cases.filter((one) => one.closed === null).map((one) => one.reason);
      expect(open).to.have.members(['late_success', 'outcome_unknown']);
      expect(flow.next()).to.deep.equal({ kind: 'stop', reason: 'ended' });
      flow.receive({ kind: 'ask', by: 'op' });
      flow.answer('query', declined('final'));
      expect(flow.state.cases.filter((one) => one.closed === null)).to.have.length(1);
    });

    it('takes a signed mismatch for a sign that the channel knows the order', () => {
      const flow = new FlowDriver([place('first', { honoursExpiry: true }), place('second')]);
      flow.answer('charge', { kind: 'mismatch', field: 'amount', ours: '1', theirs: '2' });
      flow.nowMs += ttlMs + visibilityMs;
      flow.answer('query', notFound);
      expect(flow.attempt().status).to.equal('unknown');
    });

    it('asks again for the proof by time when the question at its moment went unheard', () => {
      const fields = { honoursExpiry: true, pollScheduleMs: [1_000] };
      const flow = new FlowDriver([place('first', fields), place('second')]);
      flow.answer('charge', unknown);
      flow.wait();
      flow.answer('query', notFound);
      flow.wait();
      expect(flow.answer('query', unknown).kind).to.equal('wait');
      flow.wait();
      flow.answer('query', notFound);
      expect(flow.attempt(1)).to.include({ status: 'not_executed', proof: 'expired_unseen' });
    });

    it('lays every suspicion before a person, even two of one commit', () => {
      const flow = two();
      flow.answer('charge', declined('other_channel'));
      flow.answer('charge', declined('other_channel'));
      for (const no of [1, 2]) {
        flow.add({
          kind: 'replied',
          atMs: flow.nowMs,
          attemptNo: no,
          via: 'callback',
          answer: succeeded,
          sentAtMs: flow.nowMs,
        });
      }
      flow.next();
      expect(flow.state.cases.map((one) => one.reason)).to.deep.equal([
        'late_success',
        'captured_twice',
      ]);
    });
  });
});
