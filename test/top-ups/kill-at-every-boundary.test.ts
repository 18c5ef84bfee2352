import { expect } from 'chai';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { shareOut, unannounced } from '../support/kills.js';
import { Nursery, type Doomed } from '../support/nursery.js';
import { CardHouse, someTopUp } from './card-house.js';
import type { DoomedTopUp } from './doomed-top-up.js';

/** Every boundary instead of those that matter most; some minutes. */
const all = process.env['RECOUP_TEST_ALL_BOUNDARIES'] === '1';
const inFlightMs = 25;

interface Scenario {
  readonly name: string;
  readonly faults: readonly FaultRule[];
  /** Counted from the payment; what is to be credited is not to be voided because a kill took long. */
  readonly settlementAgeMs: number;
  /** Boundaries that every run of it passes. */
  readonly passes: readonly string[];
  readonly kills: readonly string[];
}

const scenarios: readonly Scenario[] = [
  {
    name: 'credited',
    faults: [],
    settlementAgeMs: 60_000,
    passes: ['during pre_recharge 1', 'during charge 1', 'during credit 1', 'after commit 4'],
    kills: ['during credit 1', 'after credit 1'],
  },
  {
    name: 'never credited, voided and given back',
    faults: [{ channel: 'cards', operation: 'credit', fault: 'reset_before' }],
    settlementAgeMs: 500,
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
  const nursery = new Nursery<DoomedTopUp>(new URL('./doomed-top-up.js', import.meta.url), 1);

  before(async () => {
    house = await CardHouse.open();
  });
  after(async () => {
    await nursery.close();
    await house.close();
  });
  afterEach(async () =>
    expect(await unannounced(house.environment), 'orders that no log announced').to.eql([]),
  );

  for (const { name, faults, settlementAgeMs, passes, kills } of scenarios) {
    it(`${name}: credited or given back, once`, async function () {
      this.timeout(120_000);
      await house.faults('cards', faults);
      const liveThrough = livesOf(settlementAgeMs);
      const process = await nursery.doomed<DoomedTopUp>();
      const [whole] = await liveThrough(process, [null]);
      const boundaries = whole?.boundaries ?? [];
      expect(boundaries).to.include.members([...passes]);
      const killed = await Promise.all(
        shareOut(all ? boundaries : kills).map(async (places, nth) => {
          const own = nth === 0 ? process : await nursery.doomed<DoomedTopUp>();
          const lives = await liveThrough(own, places);
          return places.filter((_place, at) => lives[at]?.killed);
        }),
      );
      expect(killed.flat(), 'boundaries killed at').to.include.members([...kills]);
    });
  }

  /** Each killed there, and resumed by another process until it ends; then the books are compared. */
  const livesOf =
    (settlementAgeMs: number) =>
    async (process: Doomed<DoomedTopUp>, places: readonly (string | null)[]) => {
      const dooms = places.map((killAt) => {
        const { amountMinor: _amount, ...request } = someTopUp();
        return { killAt, request };
      });
      const env = { ...house.environment.env, RECOUP_SETTLEMENT_AGE_MS: String(settlementAgeMs) };
      const lives = await process.live({ env, inFlightMs, lives: dooms });
      await Promise.all(dooms.map(async ({ killAt, request }) => await conclude(killAt, request)));
      return lives;
    };

  async function conclude(killAt: string | null, asked: DoomedTopUp['request']): Promise<void> {
    const { services } = house;
    const begun = await services.flows.topUps.findByRequest(asked.requestKey);
    if (begun === null) {
      // Killed before the first commit: nobody was asked for anything.
      expect(await house.cards.balance('cards', asked.card.token)).to.equal(0);
      return;
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
  }
});
