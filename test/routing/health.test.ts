import { expect } from 'chai';
import * as fc from 'fast-check';
import { SlidingWindow } from '../../src/routing/health.js';
import { evidenceOf, observationOf } from '../../src/routing/observation.js';
import { channelId, noonMs } from './fixtures.js';

const of = (via: 'charge' | 'later', kind: Parameters<typeof evidenceOf>[0]['kind'], code = '') => {
  const { success, answered } = evidenceOf({ via, kind, code });
  return [success, answered];
};

describe('routing: sliding window', () => {
  const spec = { bucketMs: 10_000, buckets: 60 };

  it('counts what it is told and forgets it after the window', () => {
    const window = new SlidingWindow(spec);
    window.record(true, noonMs);
    window.record(false, noonMs + 5_000);
    expect(window.tally(noonMs + 599_999)).to.deep.equal({ successes: 1, outcomes: 2 });
    expect(window.tally(noonMs + 600_000)).to.deep.equal({ successes: 0, outcomes: 0 });
  });

  it('gives a tally that later records do not change', () => {
    const window = new SlidingWindow(spec);
    window.record(true, noonMs);
    const before = window.tally(noonMs);
    window.record(true, noonMs);
    expect(before.outcomes).to.equal(1);
  });

  it('starts anew when the clock was set back by more than the window', () => {
    const window = new SlidingWindow(spec);
    for (let i = 0; i < 10; i += 1) window.record(false, noonMs);
    window.record(true, noonMs - 3_600_000);
    expect(window.tally(noonMs - 3_600_000)).to.deep.equal({ successes: 1, outcomes: 1 });
  });

  it('agrees with a plain list of outcomes, in time or a little late', () => {
    const small = { bucketMs: 10, buckets: 4 };
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(25), fc.nat(15)), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (outcomes) => {
        const window = new SlidingWindow(small);
        const list: { won: boolean; bucket: number }[] = [];
        let nowMs = 1_000;
        for (const [won, passedMs, lateMs] of outcomes) {
          nowMs += passedMs;
          window.record(won, nowMs);
          window.record(won, nowMs - lateMs);
          list.push({ won, bucket: Math.floor(nowMs / 10) });
          list.push({ won, bucket: Math.floor((nowMs - lateMs) / 10) });
          const oldest = Math.floor(nowMs / 10) - small.buckets;
          const held = list.filter((one) => one.bucket > oldest);
          const successes = held.filter((one) => one.won).length;
          expect(window.tally(nowMs)).to.deep.equal({ successes, outcomes: held.length });
        }
      }),
    );
  });
});

describe('routing: what an answer is evidence of', () => {
  it('counts success, silence and channel-side declines of a charge', () => {
    expect(of('charge', 'succeeded')).to.deep.equal([true, true]);
    expect(of('charge', 'unknown', 'timeout')).to.deep.equal([false, false]);
    expect(of('charge', 'not_executed', 'not_sent')).to.deep.equal([false, false]);
    expect(of('charge', 'declined', 'channel_unavailable')).to.deep.equal([false, false]);
    expect(of('charge', 'mismatch')).to.deep.equal([false, false]);
  });

  it('holds a bank’s outage against the pair, not against the channel', () => {
    expect(of('charge', 'declined', 'bank_unavailable')).to.deep.equal([false, true]);
  });

  it('draws nothing for the rate from the borrower’s own affairs or from waiting', () => {
    for (const code of [
      'insufficient_funds',
      'account_closed',
      'cancelled_by_borrower',
      'risk_refused',
    ]) {
      expect(of('charge', 'declined', code)).to.deep.equal([null, true]);
    }
    expect(of('charge', 'pending')).to.deep.equal([null, true]);
  });

  it('draws nothing from a death of our own or an order that we closed', () => {
    expect(of('charge', 'unknown', 'taken_over')).to.deep.equal([null, null]);
    expect(of('charge', 'not_executed', 'closed')).to.deep.equal([null, null]);
  });

  it('lets later answers add outcomes and never move the breaker', () => {
    expect(of('later', 'succeeded')).to.deep.equal([true, null]);
    expect(of('later', 'declined', 'channel_unavailable')).to.deep.equal([false, null]);
    expect(of('later', 'declined', 'insufficient_funds')).to.deep.equal([null, null]);
    for (const kind of ['unknown', 'not_found', 'not_executed', 'closed', 'refused'] as const) {
      expect(of('later', kind)).to.deep.equal([null, null]);
    }
  });

  it('reads the code out of an answer', () => {
    const about = { channelId: channelId('a'), bankCode: 'ICBC', via: 'charge', atMs: 1 } as const;
    expect(observationOf({ kind: 'unknown', why: 'timeout', detail: '' }, about).code).to.equal(
      'timeout',
    );
    expect(observationOf({ kind: 'not_executed', proof: 'not_sent' }, about).code).to.equal(
      'not_sent',
    );
    expect(observationOf({ kind: 'not_found' }, about).code).to.equal(undefined);
  });
});
