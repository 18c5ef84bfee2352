import { expect } from 'chai';
import { stub } from 'sinon';
import { deductionFlow, type DeductionState } from '../../src/engine/deduction.js';
import type { Entry } from '../../src/engine/entries.js';
import { Executor, LockBusy } from '../../src/engine/executor.js';
import type { Append, Journal } from '../../src/engine/journal.js';
import type { ChannelCalls, Router } from '../../src/engine/ports.js';
import { silentLog } from '../../src/log.js';
import { declined, FlowDriver, notSent, place, someTask, startMs } from './flow-driver.js';

/** Ports of ours in place of the stores: what is tested is what happens between two calls. */
class Bench {
  readonly log: Entry[] = [];
  nowMs = startMs;
  /** What the log held each time that the channel was asked. */
  readonly loggedWhenAsked: string[][] = [];
  readonly charge = stub<Parameters<ChannelCalls['charge']>, ReturnType<ChannelCalls['charge']>>();
  /** What is left of the lease, one after another; the last one stays. */
  leases: number[] = [60_000];
  route: Router['plan'] = async () => ({ places: [place('first'), place('second')], rejected: [] });

  readonly executor = new Executor<DeductionState>(
    {
      flow: deductionFlow,
      journal: this.#journal(),
      locks: {
        acquire: async () => ({
          remainingMs: () =>
            this.leases.length > 1 ? (this.leases.shift() ?? 0) : (this.leases[0] ?? 0),
          extend: async () => undefined,
          release: async () => undefined,
        }),
      },
      channels: {
        get: () => ({
          timeoutsMs: { charge: 5_000, query: 1_000, close: 1_000 },
          charge: this.charge,
          query: async () => {
            this.loggedWhenAsked.push(this.kinds());
            return { kind: 'not_found' };
          },
        }),
      },
      router: { plan: (request) => this.route(request) },
      wakeUps: { schedule: async () => undefined },
      clock: { nowMs: () => this.nowMs, monotonicMs: () => 0, sleep: async () => undefined },
      log: silentLog,
    },
    { executorId: 'bench', leaseMarginMs: 2_000, lockWaitMs: 0 },
  );

  #journal(): Journal<DeductionState> {
    return {
      load: async () => ({ kind: 'deduction', entries: [...this.log] }),
      loadAfter: async (_task, seq) => this.log.slice(seq),
      append: async ({ entries, afterSeq }: Append<DeductionState>) => {
        expect(afterSeq).to.equal(this.log.length);
        this.log.push(...entries);
      },
    };
  }

  async start() {
    const driver = new FlowDriver([place('first'), place('second')]);
    const [accepted, routed] = driver.log as [Entry, Entry];
    const { accepted: done, finished } = this.executor.start([accepted, routed]);
    const refused: unknown = await done.catch((error: unknown) => error);
    return { refused, result: await finished.catch((error: unknown) => error as Error) };
  }

  kinds = (): string[] => this.log.map((entry) => entry.kind);
}

describe('the lease before each call', () => {
  it('that covers no call starts nothing', async () => {
    const bench = new Bench();
    bench.leases = [1_000];
    const { refused } = await bench.start();
    expect(refused).to.be.instanceOf(LockBusy);
    expect(bench.charge.callCount).to.equal(0);
    expect(bench.log).to.have.length(0);
  });

  it('that runs out during the commit keeps the charge back, and says that nothing was sent', async () => {
    const bench = new Bench();
    bench.leases = [60_000, 60_000, 1_000];
    const { result } = await bench.start();
    expect(result).to.include({ outcome: 'lease_lost' });
    expect(bench.charge.callCount).to.equal(0);
    const answer = { ...notSent, withheld: true };
    expect(bench.log.at(-1)).to.deep.include({ kind: 'replied', answer });
  });

  it('that runs out during the commit leaves the channel untried: the charge goes there after all', async () => {
    const bench = new Bench();
    bench.charge.resolves({ kind: 'succeeded', channelRef: 'r1' });
    bench.leases = [60_000, 60_000, 1_000];
    await bench.start();
    bench.leases = [60_000];
    expect(await bench.executor.run(someTask)).to.include({ outcome: 'ended' });
    expect(bench.charge.args.map(([order]) => order.channelId)).to.deep.equal(['first']);
  });

  it('that runs out after an answer does not lose the answer', async () => {
    const bench = new Bench();
    bench.charge.resolves(declined('other_channel'));
    bench.leases = [60_000, 60_000, 60_000, 60_000, 1_000];
    const { result } = await bench.start();
    expect(result).to.include({ outcome: 'lease_lost' });
    expect(bench.charge.callCount).to.equal(1);
    expect(bench.kinds().slice(-1)).to.deep.equal(['replied']);
  });

  it('an answer is written down even when planning the next attempt fails', async () => {
    const bench = new Bench();
    bench.charge.callsFake(async () => {
      // By the time the answer comes the route is old.
      bench.nowMs += 120_000;
      return declined('other_channel');
    });
    bench.route = async () => {
      throw new Error('no database');
    };
    const { result } = await bench.start();
    expect(result).to.be.instanceOf(Error);
    expect(bench.kinds().slice(-1)).to.deep.equal(['replied']);
  });
});

describe('a run that finds a call under way', () => {
  /** Intended, and nothing heard of it. */
  function interrupted(): Bench {
    const bench = new Bench();
    const driver = new FlowDriver([place('first')]);
    const charge = driver.next();
    if (charge.kind !== 'charge') throw new Error(charge.kind);
    bench.log.push(...driver.log, charge.intent);
    return bench;
  }

  it('has taken the task over in the log before the channel is asked, so that the old holder collides', async () => {
    const bench = interrupted();
    await bench.executor.run(someTask);
    const before = ['accepted', 'routed', 'charge_intended', 'taken_over'];
    expect(bench.loggedWhenAsked).to.deep.equal([before]);
    expect(bench.charge.callCount).to.equal(0);
  });

  it('writes the takeover down also where its lease does not cover the question', async () => {
    const bench = interrupted();
    bench.leases = [1_000];
    const { outcome } = await bench.executor.run(someTask);
    expect(outcome).to.equal('lease_lost');
    expect(bench.kinds().at(-1)).to.equal('taken_over');
    expect(bench.loggedWhenAsked).to.deep.equal([]);
  });
});
