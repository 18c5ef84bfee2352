import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  breakerDefaults,
  closedBreaker,
  standingOf,
  stepBreaker,
  type Breaker,
  type BreakerEvent,
} from '../../src/routing/breaker.js';

const settings = {
  ...breakerDefaults,
  failuresRunningMax: 3,
  failureShareMax: 0.5,
  shareOutcomesMin: 10,
  openMsMin: 1_000,
  openMsMax: 3_000,
  trialsMax: 2,
  passesMin: 2,
  trialMsMax: 500,
};
const now = 10_000;

const closed = (failuresRunning: number): Breaker => ({ kind: 'closed', failuresRunning });
const open = (untilMs: number, opens = 1): Breaker => ({ kind: 'open', untilMs, opens, why: 'w' });
const half = (trialsOut: number, passes: number, opens = 1, lastTrialAtMs = now): Breaker => ({
  kind: 'half_open',
  opens,
  why: 'w',
  trialsOut,
  lastTrialAtMs,
  passes,
});
const answered: BreakerEvent = { kind: 'answered' };
const trial: BreakerEvent = { kind: 'trial' };
const failed = (failures = 1, outcomes = 1): BreakerEvent => ({
  kind: 'failed',
  recent: { successes: outcomes - failures, outcomes },
});

type Row = [name: string, before: Breaker, event: BreakerEvent, after: Breaker];
const ran = '3 charges running were not answered';
const share = '5 of the last 10 charges were not answered';
const again = 'a trial was not answered';
const table: Row[] = [
  ['closed stays closed upon an answer', closed(0), answered, closed(0)],
  ['an answer ends a run of failures', closed(2), answered, closed(0)],
  ['a failure short of the run is counted', closed(1), failed(), closed(2)],
  ['the run opens it', closed(2), failed(), { kind: 'open', untilMs: 11_000, opens: 1, why: ran }],
  ['a share below half does not open it', closed(0), failed(5, 11), closed(1)],
  ['half of too few does not open it', closed(0), failed(9, 9), closed(1)],
  [
    'half opens it',
    closed(0),
    failed(5, 10),
    { kind: 'open', untilMs: 11_000, opens: 1, why: share },
  ],
  ['closed needs no trial', closed(1), trial, closed(1)],
  ['open ignores an answer to an order placed before', open(10_001), answered, open(10_001)],
  [
    'open is not prolonged by failures of orders placed before',
    open(10_001),
    failed(),
    open(10_001),
  ],
  ['open lets no trial through', open(10_001), trial, open(10_001)],
  ['its time over, open lets a trial through', open(10_000), trial, half(1, 0)],
  ['its time over, an answer is a pass', open(10_000), answered, half(0, 1)],
  [
    'its time over, a failure opens it for twice as long',
    open(10_000),
    failed(),
    {
      kind: 'open',
      untilMs: 12_000,
      opens: 2,
      why: again,
    },
  ],
  ['half-open counts trials', half(1, 0), trial, half(2, 0)],
  ['half-open lets no more trials through than it may', half(2, 0), trial, half(2, 0)],
  ['an answer gives the trial back and is a pass', half(2, 0), answered, half(1, 1)],
  ['enough passes close it', half(1, 1), answered, closed(0)],
  [
    'a failed trial opens it again',
    half(1, 1),
    failed(),
    {
      kind: 'open',
      untilMs: 12_000,
      opens: 2,
      why: again,
    },
  ],
  [
    'opening again is bounded',
    half(1, 0, 2),
    failed(),
    {
      kind: 'open',
      untilMs: 13_000,
      opens: 3,
      why: again,
    },
  ],
  ['a trial not heard of is given up', half(2, 0, 1, now - 500), trial, half(1, 0)],
  ['a trial is waited for until then', half(2, 0, 1, now - 499), trial, half(2, 0, 1, now - 499)],
];

describe('routing: breaker', () => {
  for (const [name, before, event, after] of table) {
    it(name, () => expect(stepBreaker(before, event, now, settings)).to.deep.equal(after));
  }

  it('shows the router nothing while closed, the time while open, the trials left while half-open', () => {
    expect(standingOf(closed(2), now, settings)).to.equal(null);
    expect(standingOf(open(now + 1), now, settings)).to.deep.equal({
      kind: 'open',
      untilMs: now + 1,
      why: 'w',
    });
    expect(standingOf(open(now), now, settings)).to.deep.include({
      kind: 'half_open',
      trialsLeft: 2,
    });
    expect(standingOf(half(2, 0), now, settings)).to.deep.include({ trialsLeft: 0 });
    expect(standingOf(half(2, 0), now + 500, settings)).to.deep.include({ trialsLeft: 2 });
  });

  it('keeps its bounds through any history', () => {
    const event = fc.oneof(
      fc.constant(answered),
      fc.constant(trial),
      fc.tuple(fc.nat(20), fc.nat(20)).map(([lost, won]) => failed(lost + 1, lost + 1 + won)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(1_500)), { maxLength: 80 }), (history) => {
        let breaker: Breaker = closedBreaker;
        let at = now;
        for (const [happened, passedMs] of history) {
          at += passedMs;
          breaker = stepBreaker(breaker, happened, at, settings);
          if (breaker.kind === 'open')
            expect(breaker.untilMs - at).to.be.at.most(settings.openMsMax);
          if (breaker.kind === 'closed') expect(breaker.failuresRunning).to.be.below(3);
          if (breaker.kind === 'half_open') {
            expect(breaker.trialsOut).to.be.within(0, settings.trialsMax);
            expect(breaker.passes).to.be.below(settings.passesMin);
          }
        }
      }),
    );
  });

  it('always comes back: left alone and then answered, it closes', () => {
    let breaker = closedBreaker;
    let at = now;
    for (let i = 0; i < 2_000; i += 1)
      breaker = stepBreaker(breaker, failed(), (at += 3_001), settings);
    expect(breaker.kind).to.equal('open');
    at += settings.openMsMax;
    breaker = stepBreaker(breaker, answered, at, settings);
    expect(stepBreaker(breaker, answered, at, settings)).to.deep.equal(closedBreaker);
  });
});
