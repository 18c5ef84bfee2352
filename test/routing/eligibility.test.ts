import { expect } from 'chai';
import type { Currency } from '../../src/money.js';
import { amountMinor } from '../../src/money.js';
import type { RouteRequest } from '../../src/engine/route.js';
import { planRoute } from '../../src/routing/plan-route.js';
import type { RoutingWorld } from '../../src/routing/world.js';
import {
  channelId,
  minuteMs,
  noonMs,
  request,
  terms,
  world,
  type ProfileInput,
} from './fixtures.js';

const alpha = channelId('alpha');

/** What becomes of a single channel: `eligible`, or the rejection's code and reason. */
function verdict(
  over: ProfileInput,
  asked: Partial<RouteRequest> = {},
  around: Partial<RoutingWorld> = {},
): string {
  const route = planRoute(request(asked), world([terms('alpha', over)], around));
  const rejection = route.rejected[0];
  return rejection === undefined ? 'eligible' : `${rejection.code}: ${rejection.reason}`;
}

const used = (total: bigint, icbc: bigint): Pick<RoutingWorld, 'usage'> => ({
  usage: new Map([[alpha, { totalMinor: total, byBank: new Map([['ICBC', icbc]]) }]]),
});

const of = (minor: number): Partial<RouteRequest> => ({ amountMinor: amountMinor(minor) });

const standing = (breaker: object) => ({ breakers: new Map([[alpha, breaker]]) }) as never;

const at = (hour: number, minute: number, ms = 0): Partial<RoutingWorld> => ({
  nowMs: Date.UTC(2026, 2, 1, hour, minute) + ms,
});

const night = { maintenance: [{ from: '23:30', to: '00:30' }] };

const placed = (minute: number) =>
  planRoute(request(), world([terms('alpha', night)], at(15, minute))).places[0]?.reason;

describe('routing: eligibility', () => {
  it('takes a deduction that nothing speaks against', () => {
    expect(verdict({})).to.equal('eligible');
  });

  it('refuses a channel that this task has tried, before anything else', () => {
    expect(verdict({ paused: true }, { exclude: [alpha] })).to.equal(
      'already_tried: this deduction was already tried here',
    );
  });

  it('refuses a paused channel, an unsupported bank, an unsupported currency', () => {
    expect(verdict({ paused: true })).to.equal('paused: paused by an operator');
    expect(verdict({}, { bankCode: 'BOC' })).to.equal(
      'bank_unsupported: BOC is not supported here',
    );
    expect(verdict({}, { bankCode: 'constructor' })).to.match(/^bank_unsupported/);
    expect(verdict({}, { currency: 'USD' as Currency })).to.match(/^currency_unsupported: USD/);
  });

  it('takes the minimum and refuses one below it', () => {
    const limits = { per_transaction_min_minor: 100 };
    expect(verdict({ limits }, of(100))).to.equal('eligible');
    expect(verdict({ limits }, of(99))).to.equal(
      'below_minimum: ¥0.99 is below the minimum of ¥1.00',
    );
  });

  it('takes the per-transaction limit and refuses one above it, naming the tighter', () => {
    const channelTighter = {
      limits: { per_transaction_max_minor: 50_000 },
      banks: { ICBC: { per_transaction_max_minor: 60_000 } },
    };
    const bankTighter = {
      limits: { per_transaction_max_minor: 60_000 },
      banks: { ICBC: { per_transaction_max_minor: 50_000 } },
    };
    expect(verdict(channelTighter, of(50_000))).to.equal('eligible');
    expect(verdict(channelTighter, of(50_001))).to.equal(
      "per_transaction_limit: ¥500.01 is over the channel's limit of ¥500.00 a transaction",
    );
    expect(verdict(bankTighter, of(50_000))).to.equal('eligible');
    expect(verdict(bankTighter, of(50_001))).to.equal(
      "per_transaction_limit: ¥500.01 is over ICBC's limit of ¥500.00 a transaction",
    );
  });

  it('fills a daily limit to the last fen and no further', () => {
    const limits = { daily_max_minor: 100_000 };
    expect(verdict({ limits }, of(50_000), used(50_000n, 0n))).to.equal('eligible');
    expect(verdict({ limits }, of(50_000), used(50_001n, 0n))).to.equal(
      "daily_limit: ¥500.00 is over the ¥499.99 left today of the channel's daily limit",
    );
    expect(verdict({ limits }, of(1), used(170_000n, 0n))).to.contain('over the ¥0.00 left');
  });

  it('names the daily limit with less left, not the smaller figure', () => {
    const over = {
      limits: { daily_max_minor: 1_000_000 },
      banks: { ICBC: { daily_max_minor: 200_000 } },
    };
    expect(verdict(over, of(50_000), used(960_000n, 0n))).to.contain("the channel's daily limit");
    expect(verdict(over, of(50_000), used(160_000n, 160_000n))).to.contain("ICBC's daily limit");
    expect(verdict(over, of(50_000), used(950_000n, 150_000n))).to.equal('eligible');
  });

  it('keeps new orders from an open breaker and from a half-open one without trials left', () => {
    const why = '5 charges running were not answered';
    expect(verdict({}, {}, standing({ kind: 'open', untilMs: noonMs + 4_200, why }))).to.equal(
      `breaker_open: ${why}; next trial in 5 s`,
    );
    expect(verdict({}, {}, standing({ kind: 'half_open', trialsLeft: 0, why }))).to.equal(
      `breaker_open: ${why}; its trials are under way`,
    );
    expect(verdict({}, {}, standing({ kind: 'half_open', trialsLeft: 1, why }))).to.equal(
      'eligible',
    );
  });
});

describe('routing: maintenance', () => {
  it('crosses midnight by the clock of Shanghai', () => {
    expect(verdict(night, {}, at(15, 29))).to.equal(
      'maintenance: about to close for maintenance, 23:30 to 00:30 Asia/Shanghai',
    );
    expect(verdict(night, {}, at(15, 30))).to.match(/^maintenance: closed/);
    expect(verdict(night, {}, at(15, 59, 59_999))).to.match(/^maintenance: closed/);
    expect(verdict(night, {}, at(16, 0))).to.match(/^maintenance: closed/);
    expect(verdict(night, {}, at(16, 29, 59_999))).to.match(/^maintenance: closed/);
    expect(verdict(night, {}, at(16, 30))).to.equal('eligible');
  });

  it('closes early by the longest charge and a minute', () => {
    const leadMs = 10_000 + minuteMs;
    expect(verdict(night, {}, at(15, 30, -leadMs))).to.equal('eligible');
    expect(verdict(night, {}, at(15, 30, -leadMs + 1))).to.match(/^maintenance: about to close/);
  });

  it('places an order that may outlive the window’s start, and says so', () => {
    expect(placed(0)).to.not.contain('maintenance');
    expect(placed(1)).to.contain('may outlast the start of maintenance, 23:30 to 00:30');
  });

  it('keeps windows within a day, several windows, other zones, and a window of a whole day', () => {
    const two = {
      maintenance: [
        { from: '02:00', to: '03:00' },
        { from: '12:00', to: '12:10', zone: 'Europe/London' },
      ],
    };
    expect(verdict(two, {}, at(18, 0))).to.match(/02:00 to 03:00/);
    expect(verdict(two, {}, at(19, 0))).to.equal('eligible');
    expect(verdict(two, {}, at(12, 9))).to.match(/Europe\/London/);
    // British summer time: the same clock, an hour earlier.
    expect(verdict(two, {}, { nowMs: Date.UTC(2026, 6, 1, 11, 5) })).to.match(
      /^maintenance: closed/,
    );
    expect(verdict(two, {}, { nowMs: Date.UTC(2026, 6, 1, 12, 5) })).to.equal('eligible');
    const always = { maintenance: [{ from: '05:00', to: '05:00' }] };
    for (let hour = 0; hour < 24; hour += 1) {
      expect(verdict(always, {}, at(hour, 0))).to.match(/^maintenance/);
    }
  });

  it('refuses an unknown zone when the terms are made', () => {
    const mars = { maintenance: [{ from: '01:00', to: '02:00', zone: 'Mars/Olympus' }] };
    expect(() => terms('alpha', mars)).to.throw(RangeError);
  });
});
