import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { ChannelCalls } from '../../src/engine/ports.js';
import type { TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { finish } from '../support/finish.js';
import { requestFor } from '../support/requests.js';
import { useEnvironment } from '../support/suite.js';

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
  const suite = useEnvironment();

  /** Nobody else works on it. */
  async function finishAlone(by: Services, task: TaskId): Promise<void> {
    const strict = {
      run: async (one: TaskId) => {
        const result = await by.executor.run(one);
        if (!['ended', 'review', 'waiting'].includes(result.outcome))
          throw new Error(result.outcome);
        return result;
      },
    };
    await finish({ ...by, executor: strict }, task);
  }

  const capturesOf = async (by: Services, task: TaskId): Promise<number> => {
    const numbers = (await by.deductions.attempts(task)).map((attempt) => attempt.orderNo);
    const booked = await suite.environment.sandbox.book();
    return booked
      .filter((order) => numbers.includes(order.orderNo))
      .reduce((sum, order) => sum + order.captures.length, 0);
  };

  for (const when of ['before', 'after'] as const) {
    it(`stops quietly when it was overtaken ${when} its charge was sent; one capture`, async () => {
      const gate = new Gate();
      const paused = await suite.environment.compose({ wrappers: holding(gate, 'charge', when) });
      const repayment = await suite.environment.repayment();
      const { deductionId, finished } = await paused.desk.start(requestFor(repayment));
      await gate.arrived;
      // The paused process keeps nothing: its lock expires, is flushed, was never there.
      await suite.environment.flushRedis();
      await finishAlone(suite.services, deductionId);
      gate.open();
      expect((await finished).outcome).to.equal('overtaken');
      expect(await capturesOf(suite.services, deductionId)).to.equal(1);
      const record = await suite.services.deductions.find(deductionId);
      expect(record?.status).to.equal('succeeded');
      const kinds = (await suite.services.deductions.log(deductionId)).map(
        ({ entry }) => entry.kind,
      );
      expect(kinds).to.include('taken_over');
      expect(kinds.filter((kind) => kind === 'settled')).to.have.length(1);
    });
  }

  it('a request of a paused process dies by its expiry, after the channel was left', async () => {
    // PSBC is taken by unionlink, then oldbank: oldbank alone is not idempotent and honours expiry.
    await suite.environment.sandbox.setFaults([
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
    const paused = await suite.environment.compose({
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
    const repayment = await suite.environment.repayment({ account });
    const { deductionId, finished } = await paused.desk.start(requestFor(repayment));
    // The decline comes at once or by a poll; either way it leads to oldbank.
    const running = finished.then(() => finishAlone(paused, deductionId)).catch(() => undefined);
    await gate.arrived;
    await suite.environment.flushRedis();
    await finishAlone(suite.services, deductionId);
    expect((await suite.services.deductions.find(deductionId))?.status).to.equal('failed');
    const [, oldbank] = await suite.services.deductions.attempts(deductionId);
    expect(oldbank).to.include({ status: 'not_executed', proof: 'expired_unseen' });
    gate.open();
    await running;
    expect(charges).to.be.above(0);
    expect(await capturesOf(suite.services, deductionId), 'the zombie charged nobody').to.equal(0);
  });

  it('leaves out a channel whose calls no lease would cover, and says why', async () => {
    const said: string[] = [];
    const log = {
      ...silentLog,
      error: (_: string, fields?: object) => said.push(JSON.stringify(fields)),
    };
    const short = await suite.environment.compose({ config: { lockLeaseMs: 1_000 }, log });
    const repayment = await suite.environment.repayment();
    const error: unknown = await short.desk.start(requestFor(repayment)).catch((e: unknown) => e);
    expect(error).to.have.property('code', 'no_eligible_channel');
    expect(said.join()).to.include('RECOUP_LOCK_LEASE_MS');
    expect(await suite.services.deductions.findLive(repayment.id)).to.equal(null);
  });

  it('leaves a record alone that another executor works on', async () => {
    const gate = new Gate();
    const slow = await suite.environment.compose({ wrappers: holding(gate, 'charge', 'before') });
    const repayment = await suite.environment.repayment();
    const { deductionId, finished } = await slow.desk.start(requestFor(repayment));
    await gate.arrived;
    expect((await suite.services.executor.run(deductionId)).outcome).to.equal('busy');
    gate.open();
    expect((await finished).outcome).to.equal('ended');
  });

  it('collects while Redis is not there', async () => {
    const without = await suite.environment.compose({
      config: { redisUrl: 'redis://127.0.0.1:1/0' },
    });
    const repayment = await suite.environment.repayment();
    const { deductionId, finished } = await without.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    expect((await suite.services.deductions.find(deductionId))?.status).to.equal('succeeded');
  });

  it('runs an ended task without touching anything', async () => {
    const repayment = await suite.environment.repayment();
    const { deductionId, finished } = await suite.services.desk.start(requestFor(repayment));
    await finished;
    const before = await suite.services.deductions.log(deductionId);
    expect((await suite.services.executor.run(deductionId)).outcome).to.equal('ended');
    expect(await suite.services.deductions.log(deductionId)).to.have.length(before.length);
  });
});
