import { expect } from 'chai';
import * as fc from 'fast-check';
import { Temporal } from 'temporal-polyfill';
import { businessDate, timeOfDayMs, zoneOffsetMs } from '../../src/business-date.js';

describe('business date', () => {
  it('changes at midnight in Shanghai', () => {
    expect(businessDate(Date.UTC(2026, 1, 28, 15, 59, 59, 999))).to.equal('2026-02-28');
    expect(businessDate(Date.UTC(2026, 1, 28, 16))).to.equal('2026-03-01');
    expect(businessDate(Date.UTC(2026, 1, 28, 16), 'UTC')).to.equal('2026-02-28');
  });

  it('throws on an unknown zone', () => {
    expect(() => businessDate(0, 'Mars/Olympus')).to.throw(RangeError);
  });

  it('agrees with Temporal on any instant of any zone, summer time and odd offsets included', () => {
    const zones = [
      'Asia/Shanghai',
      'Europe/London',
      'America/St_Johns',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
    ];
    const instants = fc.integer({ min: Date.UTC(1986, 0, 1), max: Date.UTC(2040, 0, 1) });
    fc.assert(
      fc.property(instants, fc.constantFrom(...zones), (nowMs, zone) => {
        const zoned = Temporal.Instant.fromEpochMilliseconds(nowMs).toZonedDateTimeISO(zone);
        expect(zoneOffsetMs(nowMs, zone)).to.equal(zoned.offsetNanoseconds / 1e6);
        expect(businessDate(nowMs, zone)).to.equal(zoned.toPlainDate().toString());
        const time = zoned.toPlainTime();
        const timeMs =
          ((time.hour * 60 + time.minute) * 60 + time.second) * 1000 + time.millisecond;
        expect(timeOfDayMs(nowMs, zone)).to.equal(timeMs);
      }),
      { numRuns: 500 },
    );
  });

  it('agrees on both sides of each change of the clock', () => {
    const zone = 'Europe/London';
    let at = Temporal.Instant.from('2020-01-01T00:00:00Z').toZonedDateTimeISO(zone);
    for (let i = 0; i < 10; i += 1) {
      const next = at.getTimeZoneTransition('next');
      if (next === null) throw new Error('London keeps summer time');
      const changeMs = next.epochMilliseconds;
      expect(zoneOffsetMs(changeMs - 1, zone)).to.not.equal(zoneOffsetMs(changeMs, zone));
      expect(zoneOffsetMs(changeMs, zone)).to.equal(next.offsetNanoseconds / 1e6);
      at = next;
    }
  });
});
