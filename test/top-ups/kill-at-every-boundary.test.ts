import { expect } from 'chai';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { Nursery } from '../support/nursery.js';
import { CardHouse, someTopUp } from './card-house.js';
import type { DoomedTopUp } from './doomed-top-up.js';

/** Every boundary instead of those that matter most; some minutes. */
const all = process.env['RECOUP_TEST_ALL_BOUNDARIES'] === '1';
const inFlightMs = 25;

interface Scenario {
  readonly name: string;
  readonly faults: readonly FaultRule[];
  /** Boundaries that every run of it passes. */
  readonly passes: readonly string[];
  readonly kills: readonly string[];
}

const scenarios: readonly Scenario[] = [
  {
    name: 'credited',
    faults: [],
    passes: ['during pre_recharge 1', 'during charge 1', 'during credit 1', 'after commit 4'],
    kills: ['during credit 1', 'after credit 1'],
  },
  {
    name: 'never credited, voided and given back',
    faults: [{ channel: 'cards', operation: 'credit', fault: 'reset_before' }],
    passes: ['during close 1', 'during void 1', 'during refund 1'],
    kills: [
      'during charge 1',
      'after close 1',
      'during void 1',
      'during refund 1',
      'after refund 1',
    ],
  },
];

describe('a top-up killed with kill -9 at its boundaries', () => {
  let house: CardHouse;
  const nursery = new Nursery<DoomedTopUp>(new URL('./doomed-top-up.js', import.meta.url), 2);

  before(async function () {
    this.timeout(30_000);
    house = await CardHouse.open({ settlementAgeMs: 500 });
  });
  after(async () => {
    await nursery.close();
    await house.close();
  });

  for (const { name, faults, passes, kills } of scenarios) {
    it(`${name}: credited or given back, once`, async function () {
      this.timeout(300_000);
      await house.faults('cards', faults);
      const boundaries = await liveThrough(null);
      expect(boundaries).to.include.members([...passes]);
      const places = all ? boundaries.filter((place) => place !== 'finished') : kills;
      const left = [...places];
      const lane = async (): Promise<void> => {
        for (let place = left.shift(); place !== undefined; place = left.shift()) {
          await liveThrough(place);
        }
      };
      await Promise.all([lane(), lane(), lane()]);
    });
  }

  /** Killed there, and resumed by another process until it ends; then the books are compared. */
  async function liveThrough(killAt: string | null): Promise<readonly string[]> {
    const asked = someTopUp();
    const { amountMinor: _amount, ...request } = asked;
    const { env } = house.environment;
    const life = await nursery.run({ killAt, env, request, inFlightMs });
    const { services } = house;
    const begun = await services.flows.topUps.findByRequest(request.requestKey);
    if (begun === null) {
      // Killed before the first commit: nobody was asked for anything.
      expect(await house.cards.balance('cards', asked.card.token)).to.equal(0);
      return life.lines;
    }
    // The dead process's lock would expire by itself; the test need not wait for it.
    await services.redis.del(`recoup:lock:top_up:${begun.id}`);
    const { status } = await house.until(begun.id);
    const truth = await house.truth(begun.id, asked);
    const credited = status === 'succeeded';
    const story = `${killAt}: ${status}, ${JSON.stringify(truth)}`;
    expect(truth, story).to.deep.equal(
      credited
        ? { captured: 100_000, refunded: 0, onCard: 100_000 }
        : { captured: 100_000, refunded: 100_000, onCard: 0 },
    );
    expect(await house.cases(begun.id), story).to.deep.equal([]);
    return life.lines;
  }
});
