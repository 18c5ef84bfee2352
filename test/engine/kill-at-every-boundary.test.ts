import { expect } from 'chai';
import type { Services } from '../../src/composition-root.js';
import { repaymentId, type TaskId } from '../../src/ids.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { Nursery, type Life } from '../support/nursery.js';
import type { Doom } from './doomed-process.js';

/** Longer than the channel needs to have the request, shorter than it takes to answer it. */
const inFlightMs = 25;

interface Scenario {
  readonly name: string;
  readonly bankCode: string;
  readonly faults: readonly FaultRule[];
  /** Kill again at every boundary of the recovery, after a first kill at one of these. */
  readonly againAfter: readonly string[];
  /** `known`: succeeded, or failed by proof that nothing was captured. */
  readonly end: 'succeeded' | 'known';
}

const scenarios: readonly Scenario[] = [
  {
    name: 'captured at once',
    bankCode: 'ICBC',
    faults: [],
    againAfter: ['after commit', 'during charge', 'after charge'],
    end: 'succeeded',
  },
  {
    name: 'captured, and the answer lost',
    bankCode: 'ICBC',
    faults: [{ channel: 'swiftpay', operation: 'charge', fault: 'timeout_after' }],
    againAfter: [],
    end: 'succeeded',
  },
  {
    name: 'never arrived, and sent again',
    bankCode: 'ICBC',
    faults: [{ channel: 'swiftpay', operation: 'charge', fault: 'reset_before', nth: 1 }],
    againAfter: [],
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
    end: 'succeeded',
  },
  {
    name: 'never arrived where a close proves it, captured by the next',
    bankCode: 'PSBC',
    faults: [{ channel: 'unionlink', operation: 'charge', fault: 'reset_before' }],
    againAfter: [],
    end: 'known',
  },
];

const boundariesOf = ({ lines }: Life): string[] => lines.filter((line) => line !== 'finished');

/** In place of a boundary: let the recovery run through, to learn its boundaries. */
const recoveryWhole = -1 >>> 1;

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
  const nursery = new Nursery<Doom>(new URL('./doomed-process.js', import.meta.url), 3);

  before(async function () {
    this.timeout(30_000);
    environment = await startEnvironment({ sandbox: { latencyScale: 1 } });
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
      const whole = await liveThrough(scenario, 0, 0);
      const places = await inLanes(whole.boundaries, async (_, index) => {
        const story = await liveThrough(scenario, index + 1, 0);
        // A run that polled less than the first one may end before its place in the list.
        return story.killed ? (story.boundaries.at(-1) ?? '') : '';
      });
      for (const place of scenario.againAfter) {
        const first = places.indexOf(place) + 1;
        const recovery = await liveThrough(scenario, first, recoveryWhole);
        expect(recovery.again, `boundaries of the recovery after ${place}`).to.be.above(3);
        await inLanes(Array.from({ length: recovery.again }), async (_, index) => {
          await liveThrough(scenario, first, index + 1);
        });
      }
      expect(places, 'boundaries killed at').to.include.members([
        'before commit',
        'after commit',
        'before charge',
        'after charge',
        ...scenario.againAfter,
      ]);
    });
  }

  /**
   * One deduction: killed at a boundary (0: not), killed again in recovery (0: not), resumed for
   * good, compared.
   */
  async function liveThrough(scenario: Scenario, first: number, again: number) {
    const { bankCode } = scenario;
    const account = { token: `tok_ok_kill_${first}_${again}`, bankCode, last4: '0000' };
    const repayment = await environment.repayment({ account });
    const { env } = environment;
    const one = await nursery.run({ killAt: first, env, repayment: repayment.id, inFlightMs });
    await forgetLock(repayment.id);
    const accepted = await services.deductions.findByRequest(`doomed:${repayment.id}`);
    let inRecovery = 0;
    if (accepted !== null) {
      if (again > 0) {
        const killAt = again === recoveryWhole ? 0 : again;
        const two = await nursery.run({ killAt, env, task: accepted.id, inFlightMs });
        inRecovery = boundariesOf(two).length;
        await forgetLock(repayment.id);
      }
      await finish(accepted.id);
    }
    await compare(repayment.id, accepted?.id ?? null, scenario);
    return { boundaries: boundariesOf(one), killed: one.killed, again: inRecovery };
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
