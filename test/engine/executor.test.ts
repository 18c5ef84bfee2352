import { expect } from 'chai';
import type { Services } from '../../src/composition-root.js';
import type { ChannelCalls } from '../../src/engine/ports.js';
import type { TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';

/** Stops calls on their way, for as long as a test wants: a process that was paused. */
class Gate {
  #open!: () => void;
  #arrived!: () => void;
  readonly arrived = new Promise<void>((resolve) => (this.#arrived = resolve));
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));
  open = (): void => this.#open();

  async pass(): Promise<void> {
    this.#arrived();
    await this.#opened;
  }
}

const holding = (gate: Gate, operation: 'charge' | 'query', when: 'before' | 'after') => ({
  channels: (inner: { get(id: never): ChannelCalls | undefined }) => ({
    get: (id: never) => {
      const channel = inner.get(id);
      return (
        channel && {
          ...channel,
          [operation]: async (order: never) => {
            if (when === 'before') await gate.pass();
            const answer = await channel[operation](order);
            if (when === 'after') await gate.pass();
            return answer;
          },
        }
      );
    },
  }),
});

describe('the executor', () => {
  let environment: TestEnvironment;
  let services: Services;

  before(async function () {
    this.timeout(30_000);
    environment = await startEnvironment();
    services = await environment.compose();
  });
  after(async () => environment.close());
  afterEach(async () => environment.sandbox.clearFaults());

  async function finish(by: Services, task: TaskId): Promise<void> {
    for (;;) {
      const { outcome, state } = await by.executor.run(task);
      if (outcome === 'ended' || outcome === 'review') return;
      if (outcome !== 'waiting') throw new Error(outcome);
      await by.clock.sleep(Math.max(5, (state?.attempts.at(-1)?.nextAskMs ?? 0) - Date.now()));
    }
  }

  const capturesOf = async (by: Services, task: TaskId): Promise<number> => {
    const numbers = (await by.deductions.attempts(task)).map((attempt) => attempt.orderNo);
    const booked = await environment.sandbox.book();
    return booked
      .filter((order) => numbers.includes(order.orderNo))
      .reduce((sum, order) => sum + order.captures.length, 0);
  };

  for (const when of ['before', 'after'] as const) {
    it(`stops quietly when it was overtaken ${when} its charge was sent; one capture`, async () => {
      const gate = new Gate();
      const paused = await environment.compose({ wrappers: holding(gate, 'charge', when) });
      const repayment = await environment.repayment();
      const { deductionId, finished } = await paused.desk.start(requestFor(repayment));
      await gate.arrived;
      // The paused process keeps nothing: its lock expires, is flushed, was never there.
      await environment.flushRedis();
      await finish(services, deductionId);
      gate.open();
      expect((await finished).outcome).to.equal('overtaken');
      expect(await capturesOf(services, deductionId)).to.equal(1);
      const record = await services.deductions.find(deductionId);
      expect(record?.status).to.equal('succeeded');
      const kinds = (await services.deductions.log(deductionId)).map(({ entry }) => entry.kind);
      expect(kinds).to.include('taken_over');
      expect(kinds.filter((kind) => kind === 'settled')).to.have.length(1);
    });
  }

  it('a request of a paused process dies by its expiry, after the channel was left', async function () {
    this.timeout(30_000);
    // PSBC is taken by unionlink, then oldbank: oldbank alone is not idempotent and honours expiry.
    await environment.sandbox.setFaults([
      {
        channel: 'unionlink',
        operation: 'charge',
        fault: 'decline',
        params: { outcome: 'risk_refused' },
      },
    ]);
    const gate = new Gate();
    let charges = 0;
    const inner = holding(gate, 'charge', 'before');
    const paused = await environment.compose({
      wrappers: {
        channels: (real) => ({
          get: (id) => {
            charges += id === 'oldbank' ? 1 : 0;
            return id === 'oldbank' ? inner.channels(real).get(id as never) : real.get(id);
          },
        }),
      },
    });
    const account = { token: 'tok_ok_paused', bankCode: 'PSBC', last4: '0001' };
    const repayment = await environment.repayment({ account });
    const { deductionId, finished } = await paused.desk.start(requestFor(repayment));
    // The decline comes at once or by a poll; either way it leads to oldbank.
    const running = finished.then(() => finish(paused, deductionId)).catch(() => undefined);
    await gate.arrived;
    await environment.flushRedis();
    await finish(services, deductionId);
    expect((await services.deductions.find(deductionId))?.status).to.equal('failed');
    const [, oldbank] = await services.deductions.attempts(deductionId);
    expect(oldbank).to.include({ status: 'not_executed', proof: 'expired_unseen' });
    gate.open();
    await running;
    expect(charges).to.be.above(0);
    expect(await capturesOf(services, deductionId), 'the zombie charged nobody').to.equal(0);
  });

  it('leaves out a channel whose calls no lease would cover, and says why', async () => {
    const said: string[] = [];
    const log = {
      ...silentLog,
      error: (_: string, fields?: object) => said.push(JSON.stringify(fields)),
    };
    const short = await environment.compose({ config: { lockLeaseMs: 1_000 }, log });
    const repayment = await environment.repayment();
    const error: unknown = await short.desk.start(requestFor(repayment)).catch((e: unknown) => e);
    expect(error).to.have.property('code', 'no_eligible_channel');
    expect(said.join()).to.include('RECOUP_LOCK_LEASE_MS');
    expect(await services.deductions.findLive(repayment.id)).to.equal(null);
  });

  it('leaves a record alone that another executor works on', async () => {
    const gate = new Gate();
    const slow = await environment.compose({ wrappers: holding(gate, 'charge', 'before') });
    const repayment = await environment.repayment();
    const { deductionId, finished } = await slow.desk.start(requestFor(repayment));
    await gate.arrived;
    expect((await services.executor.run(deductionId)).outcome).to.equal('busy');
    gate.open();
    expect((await finished).outcome).to.equal('ended');
  });

  it('collects while Redis is not there', async () => {
    const without = await environment.compose({ config: { redisUrl: 'redis://127.0.0.1:1/0' } });
    const repayment = await environment.repayment();
    const { deductionId, finished } = await without.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    expect((await services.deductions.find(deductionId))?.status).to.equal('succeeded');
  });

  it('runs an ended task without touching anything', async () => {
    const repayment = await environment.repayment();
    const { deductionId, finished } = await services.desk.start(requestFor(repayment));
    await finished;
    const before = await services.deductions.log(deductionId);
    expect((await services.executor.run(deductionId)).outcome).to.equal('ended');
    expect(await services.deductions.log(deductionId)).to.have.length(before.length);
  });
});
