import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { useFakeTimers } from 'sinon';
import { systemClock } from '../src/clock.js';

describe('a sleep of the system clock', () => {
  it('lasts as long as it should, and leaves nobody listening', async () => {
    const { signal } = new AbortController();
    const beganMs = systemClock.monotonicMs();
    await systemClock.sleep(20, signal);
    expect(systemClock.monotonicMs() - beganMs).to.be.at.least(18);
    expect(getEventListeners(signal, 'abort')).to.have.length(0);
  });

  it('ends when its signal aborts, without an error and with no timer left', async () => {
    const timers = useFakeTimers();
    try {
      const over = new AbortController();
      const sleep = systemClock.sleep(60_000, over.signal);
      expect(timers.countTimers()).to.equal(1);
      over.abort();
      await sleep;
      expect(timers.countTimers()).to.equal(0);
      expect(getEventListeners(over.signal, 'abort')).to.have.length(0);
    } finally {
      timers.restore();
    }
  });

  it('does not begin when its signal has aborted', async () => {
    const beganMs = systemClock.monotonicMs();
    await systemClock.sleep(60_000, AbortSignal.abort());
    expect(systemClock.monotonicMs() - beganMs).to.be.below(1_000);
  });
});
