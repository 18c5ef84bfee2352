import { expect } from 'chai';
import type { Services } from '../../src/composition-root.js';
import { repaymentId, type TaskId } from '../../src/ids.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { Nursery, type Life } from '../support/nursery.js';
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

const boundariesOf = ({ lines }: Life): string[] => lines.filter((line) => line !== 'finished');

/** In place of a boundary: let the recovery run through, to learn its boundaries. */
const nowhere = 'nowhere';

/** Three at a time, in order. */
async function inLanes<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await work(items[index] as T, index);
    }
  };
  await Promise.all([lane(), lane(), lane()]);
  return results;
}

describe('a kill -9 at every durable boundary', () => {
  let environment: TestEnvironment;
  let services: Services;
  let lives = 0;
  const nursery = new Nursery<Doom>(new URL('./doomed-process.js', import.meta.url), 3);

  before(async function () {
    this.timeout(30_000);
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

  for (const scenario of scenarios) {
    it(`${scenario.name}: one capture and one outcome`, async function () {
      // Dozens of processes a scenario: a start of each is what takes the time.
      this.timeout(300_000);
      await environment.sandbox.setFaults(scenario.faults);
      // How far a run gets that nobody kills, then a kill at each boundary of it.
      const whole = await liveThrough(scenario, null, null);
      const killed = await inLanes(whole.boundaries, async (place) => {
        const story = await liveThrough(scenario, place, null);
        // A run that polls less often than the first one ends before a place at its end.
        return story.killed ? [place] : [];
      });
      expect(killed.flat(), 'boundaries killed at').to.include.members([
        ...always,
        ...scenario.passes,
      ]);
      for (const place of scenario.againAfter) {
        const { again } = await liveThrough(scenario, place, nowhere);
        expect(again.length, `boundaries of the recovery after ${place}`).to.be.above(3);
        await inLanes(again, async (second) => await liveThrough(scenario, place, second));
      }
    });
  }

  /**
   * One deduction: killed at a boundary (null: not), killed again in recovery (null: no recovery in a
   * process of its own), resumed for good, compared.
   */
  async function liveThrough(scenario: Scenario, first: string | null, second: string | null) {
    const { bankCode } = scenario;
    lives += 1;
    const account = { token: `tok_ok_kill_${lives}`, bankCode, last4: '0000' };
    const repayment = await environment.repayment({ account });
    const { env } = environment;
    const one = await nursery.run({ killAt: first, env, repayment: repayment.id, inFlightMs });
    await forgetLock(repayment.id);
    const accepted = await services.deductions.findByRequest(`doomed:${repayment.id}`);
    let again: readonly string[] = [];
    if (accepted !== null) {
      if (second !== null) {
        const two = await nursery.run({ killAt: second, env, task: accepted.id, inFlightMs });
        again = boundariesOf(two);
        await forgetLock(repayment.id);
      }
      await finish(accepted.id);
    }
    await compare(repayment.id, accepted?.id ?? null, scenario);
    return { boundaries: boundariesOf(one), killed: one.killed, again };
  }

  /** The dead process's lock would expire by itself; the test need not wait for it. */
  async function forgetLock(id: string): Promise<void> {
    await services.redis.del(`recoup:lock:repayment:${id}`);
  }

  async function finish(task: TaskId): Promise<void> {
    for (;;) {
      const { outcome, state } = await services.executor.run(task);
      if (outcome === 'ended' || outcome === 'review') return;
      const nextAskMs = state?.attempts.at(-1)?.nextAskMs ?? Date.now();
      await services.clock.sleep(Math.max(10, nextAskMs - Date.now()));
    }
  }

  async function compare(id: string, task: TaskId | null, scenario: Scenario): Promise<void> {
    const repayment = await services.repayments.find(repaymentId(id));
    const booked = await environment.sandbox.book();
    if (task === null) {
      // Killed before the first commit: it never existed, and nothing was sent.
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
