import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { RepaymentId, TaskId } from '../../src/ids.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { finish } from '../support/finish.js';
import { shareOut, unannounced } from '../support/kills.js';
import { Nursery, type Doomed } from '../support/nursery.js';
import type { Doom } from './doomed-process.js';

/** After each first kill whose recovery is the same: minutes more. */
const all = process.env['RECOUP_TEST_ALL_BOUNDARIES'] === '1';

/** Longer than the channel needs to have the request, shorter than it takes to answer it. */
const inFlightMs = 25;

interface Scenario {
  readonly name: string;
  readonly bankCode: string;
  readonly faults: readonly FaultRule[];
  /** Kill again at every boundary of the recovery, after a first kill at one of these. */
  readonly againAfter: readonly string[];
  /** Passed by every run of it, however long its calls take, besides those of every scenario. */
  readonly passes: readonly string[];
  /** `known`: succeeded, or failed by proof that nothing was captured. */
  readonly end: 'succeeded' | 'known';
}

/** What every run passes: a charge, its intent before it and its outcome after it. */
const always = [
  'before commit 1',
  'after commit 1',
  'before charge 1',
  'during charge 1',
  'after charge 1',
  'before commit 2',
  'after commit 2',
];
const asked = ['before query 1', 'during query 1', 'after query 1'];
const chargedAgain = ['before charge 2', 'during charge 2', 'after charge 2'];

const scenarios: readonly Scenario[] = [
  {
    name: 'captured at once',
    bankCode: 'ICBC',
    faults: [],
    againAfter: all ? ['after commit 1', 'during charge 1', 'after charge 1'] : ['during charge 1'],
    passes: [],
    end: 'succeeded',
  },
  {
    name: 'captured, and the answer lost',
    bankCode: 'ICBC',
    faults: [{ channel: 'swiftpay', operation: 'charge', fault: 'timeout_after' }],
    againAfter: [],
    passes: asked,
    end: 'succeeded',
  },
  {
    name: 'never arrived, and sent again',
    bankCode: 'ICBC',
    faults: [{ channel: 'swiftpay', operation: 'charge', fault: 'reset_before', nth: 1 }],
    againAfter: [],
    passes: [...asked, ...chargedAgain],
    end: 'succeeded',
  },
  {
    name: 'declined by the first channel, captured by the second',
    bankCode: 'ICBC',
    faults: [
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'decline',
        params: { outcome: 'risk_refused' },
      },
    ],
    againAfter: [],
    passes: chargedAgain,
    end: 'succeeded',
  },
  {
    name: 'never arrived where a close proves it, captured by the next',
    bankCode: 'PSBC',
    faults: [{ channel: 'unionlink', operation: 'charge', fault: 'reset_before' }],
    againAfter: [],
    passes: [...asked, 'before close 1', 'during close 1', 'after close 1', ...chargedAgain],
    end: 'known',
  },
];

/** Dozens of deductions at one bank, each of which shall find the channel that comes next. */
function withoutDailyLimit(profile: Record<string, unknown>): void {
  const banks = profile['banks'] as Record<string, Record<string, unknown>>;
  for (const limits of Object.values(banks)) limits['daily_max_minor'] = 10_000_000_000;
}

describe('a kill -9 at every durable boundary', () => {
  let environment: TestEnvironment;
  let services: Services;
  let lives = 0;
  const nursery = new Nursery<Doom>(new URL('./doomed-process.js', import.meta.url), 1);

  before(async () => {
    environment = await startEnvironment({
      sandbox: { latencyScale: 1 },
      adjust: withoutDailyLimit,
    });
    services = await environment.compose();
  });
  after(async () => {
    await nursery.close();
    await environment.close();
  });
  afterEach(async () =>
    expect(await unannounced(environment), 'orders that no log announced').to.eql([]),
  );

  for (const scenario of scenarios) {
    it(`${scenario.name}: one capture and one outcome`, async function () {
      this.timeout(120_000);
      await environment.sandbox.setFaults(scenario.faults);
      // How far a run gets that nobody kills, then a kill at each boundary of it.
      const process = await nursery.doomed<Doom>();
      const [whole] = await begin(scenario, process, [null]);
      const groups = shareOut(whole?.boundaries ?? []);
      const killed = await Promise.all(
        groups.map(async (places, nth) => {
          const lives = await begin(
            scenario,
            nth === 0 ? process : await nursery.doomed<Doom>(),
            places,
          );
          // A run that polls less often than the first one ends before a place at its end.
          return places.filter((_place, at) => lives[at]?.killed);
        }),
      );
      expect(killed.flat(), 'boundaries killed at').to.include.members([
        ...always,
        ...scenario.passes,
      ]);
      for (const first of scenario.againAfter) await killAgain(scenario, first);
    });
  }

  /** Killed there, and again at every boundary of the recovery. */
  async function killAgain(scenario: Scenario, first: string): Promise<void> {
    const process = await nursery.doomed<Doom>();
    const [whole] = await recover(scenario, process, first, [null]);
    const boundaries = whole?.boundaries ?? [];
    expect(boundaries.length, `boundaries of the recovery after ${first}`).to.be.above(3);
    const killed = await Promise.all(
      shareOut(boundaries).map(async (places, nth) => {
        const recovery = nth === 0 ? process : await nursery.doomed<Doom>();
        const lives = await recover(scenario, recovery, first, places);
        return lives.filter(({ killed }) => killed).length;
      }),
    );
    const kills = killed.reduce((sum, one) => sum + one, 0);
    expect(kills, `kills of the recovery after ${first}`).to.be.above(3);
  }

  /** A deduction for each of these places (null: it ends by itself), resumed for good, compared. */
  async function begin(
    scenario: Scenario,
    process: Doomed<Doom>,
    places: readonly (string | null)[],
  ) {
    const dooms = await Promise.all(places.map(async (killAt) => await doom(scenario, killAt)));
    const lives = await process.live({ env: environment.env, inFlightMs, lives: dooms });
    await Promise.all(dooms.map(async ({ repayment }) => await conclude(repayment, scenario)));
    return lives;
  }

  /** The same after a first kill of each of them, for their recovery. */
  async function recover(
    scenario: Scenario,
    process: Doomed<Doom>,
    first: string,
    places: readonly (string | null)[],
  ) {
    const { env } = environment;
    const dooms = await Promise.all(places.map(async () => await doom(scenario, first)));
    const begun = await (await nursery.doomed<Doom>()).live({ env, inFlightMs, lives: dooms });
    for (const { killed } of begun) expect(killed, first).to.equal(true);
    const lives = await Promise.all(
      dooms.map(async ({ repayment }, at) => {
        await forgetLock(repayment);
        const accepted = await services.deductions.findByRequest(`doomed:${repayment}`);
        if (accepted === null) throw new Error(`${repayment} was never accepted`);
        return { killAt: places[at] ?? null, task: accepted.id };
      }),
    );
    const again = await process.live({ env, inFlightMs, lives });
    await Promise.all(dooms.map(async ({ repayment }) => await conclude(repayment, scenario)));
    return again;
  }

  async function doom({ bankCode }: Scenario, killAt: string | null) {
    lives += 1;
    const account = { token: `tok_ok_kill_${lives}`, bankCode, last4: '0000' };
    const repayment = await environment.repayment({ account });
    return { killAt, repayment: repayment.id };
  }

  async function conclude(repayment: RepaymentId, scenario: Scenario): Promise<void> {
    await forgetLock(repayment);
    const accepted = await services.deductions.findByRequest(`doomed:${repayment}`);
    if (accepted !== null) await finish(services, accepted.id);
    await compare(repayment, accepted?.id ?? null, scenario);
  }

  /** The dead process's lock would expire by itself; the test need not wait for it. */
  async function forgetLock(id: string): Promise<void> {
    await services.redis.del(`recoup:lock:repayment:${id}`);
  }

  async function compare(id: RepaymentId, task: TaskId | null, scenario: Scenario): Promise<void> {
    const repayment = await services.repayments.find(id);
    const booked = await environment.sandbox.book();
    if (task === null) {
      // Killed before the first commit: it never existed.
      expect(repayment).to.include({ paidMinor: 0n, collectingMinor: 0n });
      return;
    }
    const attempts = await services.deductions.attempts(task);
    const numbers = new Set(attempts.map((attempt) => attempt.orderNo));
    const captures = booked
      .filter((order) => numbers.has(order.orderNo))
      .flatMap((order) => order.captures);
    const record = await services.deductions.find(task);
    const status = record?.status ?? 'none';
    const story = `${task} ${JSON.stringify(attempts)}`;
    const wanted = scenario.end === 'succeeded' ? ['succeeded'] : ['succeeded', 'failed'];
    expect(wanted, story).to.include(status);
    const collected = status === 'succeeded';
    expect(captures, story).to.have.length(collected ? 1 : 0);
    const paidMinor = collected ? 120_000n : 0n;
    expect(repayment, story).to.include({ paidMinor, collectingMinor: 0n });
  }
});
