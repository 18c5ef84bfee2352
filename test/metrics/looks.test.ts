import { expect } from 'chai';
import { restore, useFakeTimers, type SinonFakeTimers } from 'sinon';
import { Looks, type LookSettings } from '../../src/metrics/looks.js';

describe('Looks at what others know', () => {
  let clock: SinonFakeTimers;
  let answers: ((value: string | null) => void)[] = [];
  let errors: unknown[] = [];
  beforeEach(() => {
    clock = useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
    answers = [];
    errors = [];
  });
  afterEach(() => restore());

  const settings: LookSettings = { keepMs: 10_000, rest: 20, keepMsMax: 60_000, waitMs: 3_000 };
  const lookingAt = (look: () => Promise<string | null>) =>
    new Looks(look, settings, (error) => errors.push(error));
  const byHand = () =>
    lookingAt(async () => await new Promise((resolve) => void answers.push(resolve)));

  it('two at once have one answer, and so has who asks soon after', async () => {
    const looks = byHand();
    const both = Promise.all([looks.get(), looks.get()]);
    await clock.tickAsync(100);
    answers[0]?.('first');
    for (const { value } of await both) expect(value).to.equal('first');
    await clock.tickAsync(9_999);
    expect(await looks.get()).to.include({ value: 'first', tookMs: 100, ageMs: 9_999 });
    expect(answers).to.have.length(1);
    await clock.tickAsync(1);
    const third = looks.get();
    answers[1]?.('second');
    expect((await third).value).to.equal('second');
  });

  it('one that took long is kept for longer, and not for ever', async () => {
    const looks = byHand();
    void looks.get();
    await clock.tickAsync(2_000);
    answers[0]?.('slow');
    await clock.tickAsync(39_999);
    expect((await looks.get()).value).to.equal('slow');
    await clock.tickAsync(1);
    void looks.get();
    expect(answers).to.have.length(2);
    await clock.tickAsync(5_000);
    answers[1]?.('slower');
    await clock.tickAsync(60_000);
    void looks.get();
    expect(answers).to.have.length(3);
    await clock.tickAsync(3_000);
  });

  it('nobody waits for longer than they have, and nobody looks beside one who hangs', async () => {
    const looks = byHand();
    for (let scrape = 0; scrape < 3; scrape += 1) {
      const asked = looks.get();
      await clock.tickAsync(3_000);
      expect(await asked).to.include({ value: null, tookMs: 3_000 });
    }
    expect(answers).to.have.length(1);
    answers[0]?.('late');
    await clock.tickAsync(0);
    expect((await looks.get()).value).to.equal('late');
  });

  it('what failed is nothing, never what was true before', async () => {
    let away = false;
    const looks = lookingAt(async () => {
      if (away) throw new Error('away');
      return 'there';
    });
    expect((await looks.get()).value).to.equal('there');
    away = true;
    await clock.tickAsync(10_000);
    expect((await looks.get()).value).to.equal(null);
    expect(errors).to.have.length(1);
    away = false;
    await clock.tickAsync(10_000);
    expect((await looks.get()).value).to.equal('there');
  });
});
