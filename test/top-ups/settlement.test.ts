import { expect } from 'chai';
import type { Clock } from '../../src/clock.js';
import { systemClock } from '../../src/clock.js';
import { Settlement } from '../../src/compensation/settlement.js';
import type { Services } from '../../src/composition/root.js';
import { operationOf, type Operation, type Order } from '../../src/engine/order.js';
import type { ChannelCalls } from '../../src/engine/ports.js';
import type { Answer, ChargeAnswer, CloseAnswer, QueryAnswer } from '../../src/engine/reply.js';
import type { TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { execute, selectRows } from '../../src/store/database.js';
import { SettlementStore } from '../../src/store/settlement.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { someTopUp } from './card-house.js';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Hours pass at once. */
class MovedClock implements Clock {
  movedMs = 0;
  readonly nowMs = (): number => systemClock.nowMs() + this.movedMs;
  readonly monotonicMs = (): number => systemClock.monotonicMs();
  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    systemClock.sleep(ms, signal);
}

const lost = { kind: 'unknown', why: 'timeout', detail: '' } as const;

/** Channels and card system in one, with a book: what was done stays done, whoever heard of it. */
class World {
  /** Nobody hears of the card system. */
  away = false;
  /** Credits that arrive are carried out although nobody hears of it. */
  arrives = true;
  readonly done = new Map<string, Operation>();
  readonly closed = new Set<string>();
  readonly calls: string[] = [];

  get(): ChannelCalls {
    const place = async (order: Order): Promise<ChargeAnswer> => {
      this.calls.push(operationOf(order));
      const atCards = order.topUp !== undefined;
      const refused = this.closed.has(order.orderNo);
      if (!refused && (!atCards || this.arrives)) this.done.set(order.orderNo, operationOf(order));
      if (atCards && this.away) return lost;
      return refused || !this.done.has(order.orderNo)
        ? { ...lost, why: 'connection_lost' }
        : { kind: 'succeeded', channelRef: 'r' };
    };
    const heard = <A extends Answer>(
      order: Order,
      what: string,
      answer: () => A,
    ): A | typeof lost => {
      this.calls.push(`${what} ${operationOf(order)}`);
      return order.topUp !== undefined && this.away ? lost : answer();
    };
    const operations: readonly Operation[] = ['charge', 'refund', 'pre_recharge', 'credit', 'void'];
    return {
      ...Object.fromEntries(operations.map((one) => [one, place])),
      timeoutsMs: { charge: 1_000, query: 1_000, close: 1_000 },
      charge: place,
      query: async (order) =>
        heard<QueryAnswer>(order, 'query', () =>
          this.done.has(order.orderNo)
            ? { kind: 'succeeded', channelRef: 'r' }
            : { kind: 'not_found' },
        ),
      close: async (order) =>
        heard<CloseAnswer>(order, 'close', () => {
          if (this.done.has(order.orderNo)) return { kind: 'refused', detail: 'it is done' };
          this.closed.add(order.orderNo);
          return { kind: 'closed' };
        }),
    };
  }

  times(operation: Operation): number {
    return [...this.done.values()].filter((one) => one === operation).length;
  }
}

function seldom(profile: Record<string, unknown>): void {
  const nature = profile['nature'] as Record<string, unknown>;
  if (profile['id'] === 'cards') nature['poll_schedule_ms'] = [1_000, 10_000, 60_000];
}

describe('the settlement sweep', () => {
  let environment: TestEnvironment;
  let world: World;
  let clock: MovedClock;
  let services: Services;

  before(async () => {
    environment = await startEnvironment({ parties: ['cards'], adjust: seldom });
  });
  after(async () => environment.close());
  beforeEach(async () => {
    // What the tests before left open is not this one's.
    await execute(
      environment.owner,
      'UPDATE top_up SET settle_at = NULL WHERE ended_at IS NULL',
      [],
    );
    world = new World();
    clock = new MovedClock();
    services = await another();
  });

  const another = async (): Promise<Services> =>
    await environment.compose({ wrappers: { clock, channels: () => world } });

  /** Paid, and nobody has heard of the credit. */
  async function unconfirmed(arrived: boolean): Promise<TaskId> {
    world.away = false;
    world.arrives = true;
    const { topUpDesk } = services.flows;
    const place = world.get.bind(world);
    world.get = () => {
      const calls = place();
      return {
        ...calls,
        credit: async (order) => {
          world.away = true;
          world.arrives = arrived;
          return (await calls.credit?.(order)) ?? lost;
        },
      };
    };
    const { id: topUpId, finished } = await topUpDesk.start(someTopUp());
    await finished;
    world.get = place;
    expect(await record(topUpId)).to.include({ stage: 'credit_unknown' });
    return topUpId;
  }

  const record = async (id: TaskId) => await services.flows.topUps.find(id);

  const looks = async (id: TaskId) => {
    const [row] = await selectRows<{ looks: number }>(
      environment.owner,
      'SELECT looks FROM top_up WHERE id = ?',
      [id],
    );
    return row?.looks;
  };

  /** What would happen in so much time: wake-ups when they are due, a sweep every ten minutes. */
  async function pass(ms: number, id: TaskId, by: Services = services): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10 * minuteMs) {
      const sweepAtMs = clock.nowMs() + 10 * minuteMs;
      for (let wakeAtMs = await dueAt(id); wakeAtMs < sweepAtMs; wakeAtMs = await dueAt(id)) {
        clock.movedMs += Math.max(0, wakeAtMs - clock.nowMs());
        await by.resume(id);
      }
      clock.movedMs += Math.max(0, sweepAtMs - clock.nowMs());
      await by.flows.settlement.runOnce();
      if ((await record(id))?.endedAt !== null) return;
    }
  }

  async function dueAt(id: TaskId): Promise<number> {
    const [due] = await selectRows<{ wakeAt: Date | null }>(
      environment.owner,
      'SELECT wake_at AS wakeAt FROM in_flight WHERE task_id = ?',
      [id],
    );
    return due?.wakeAt?.getTime() ?? Infinity;
  }

  it('leaves alone what was paid less than an hour ago', async () => {
    const id = await unconfirmed(true);
    clock.movedMs += 59 * minuteMs;
    expect(await services.flows.settlement.runOnce()).to.deep.equal({});
    expect(await looks(id)).to.equal(0);
  });

  it('finishes what the card system had credited all along, after two hours without it', async () => {
    const id = await unconfirmed(true);
    await pass(2 * hourMs, id);
    expect(await record(id)).to.include({ refundedAt: null, endedAt: null });
    expect(world.times('refund')).to.equal(0);
    world.away = false;
    await pass(2 * hourMs, id);
    expect(await record(id)).to.include({ status: 'succeeded', stage: 'credited' });
    expect([world.times('credit'), world.times('refund')]).to.deep.equal([1, 0]);
  });

  it('voids and gives back what it had not, after two hours without it', async () => {
    const id = await unconfirmed(false);
    await pass(2 * hourMs, id);
    expect(world.times('refund')).to.equal(0);
    world.away = false;
    world.arrives = true;
    await pass(2 * hourMs, id);
    expect(await record(id)).to.include({ status: 'failed', failureCode: 'not_credited' });
    expect([world.times('credit'), world.times('void'), world.times('refund')]).to.deep.equal([
      0, 1, 1,
    ]);
  });

  it('while nothing is known it asks ever more rarely: six hours fill no log', async () => {
    const id = await unconfirmed(true);
    await pass(6 * hourMs, id);
    expect(await record(id)).to.include({ status: 'needs_review', stage: 'credit_unknown' });
    const log = await services.deductions.log(id);
    const asked = log.filter(({ entry }) => entry.kind === 'ask_requested').length;
    // 10, 20, 40, 80, 160 minutes, then every four hours.
    expect(asked).to.be.within(3, 6);
    expect(await looks(id)).to.be.at.most(6);
    expect(log.length).to.be.below(120);
    expect(world.times('refund')).to.equal(0);
  });

  it('two people can say that it was credited: nothing goes back, and no more is asked', async () => {
    const id = await unconfirmed(true);
    await pass(6 * hourMs, id);
    const { desk } = services.cases;
    const [found] = await desk.list({ taskId: id, open: true, limit: 10 });
    expect(found).to.include({ kind: 'outcome_unknown', taskKind: 'top_up' });
    const adopt = { action: 'adopt_captured', channelRef: 'r', proof: 'their journal' } as const;
    const proposed = await desk.propose(found!.id, adopt, { name: 'ann', keyId: 'k1' });
    const by = { name: 'ben', keyId: 'k2' };
    const { state } = await desk.approve(found!.id, proposed.no, proposed.payloadDigest, by);
    expect(state).to.equal('executed');
    expect(await record(id)).to.include({ status: 'succeeded', stage: 'credited' });
    expect(world.times('refund')).to.equal(0);
    const calls = world.calls.length;
    await services.flows.settlement.runOnce();
    expect(world.calls).to.have.length(calls);
  });

  it('adds nothing to the log where an ask is due later anyway', async () => {
    const id = await unconfirmed(true);
    clock.movedMs += 61 * minuteMs;
    await services.resume(id);
    const before = (await services.deductions.log(id)).length;
    const report = await services.flows.settlement.runOnce();
    const after = (await services.deductions.log(id)).length;
    expect(report).to.deep.equal({ looked: 1, waiting: 1 });
    expect(after).to.equal(before);
  });

  it('several sweeps at once share the work, and give back once', async () => {
    const ids: TaskId[] = [];
    for (let n = 0; n < 6; n += 1) {
      ids.push(await unconfirmed(false));
    }
    world.away = false;
    world.arrives = true;
    clock.movedMs += 61 * minuteMs;
    const others = await Promise.all([another(), another()]);
    const sweeps = [services, ...others, services].map(({ flows }) => flows.settlement.runOnce());
    const reports = await Promise.all(sweeps);
    const looked = reports.map((report) => report.looked ?? 0);
    expect(looked.reduce((sum, one) => sum + one, 0)).to.equal(ids.length);
    for (const id of ids) {
      await pass(10 * minuteMs, id);
      expect(await record(id)).to.include({ status: 'failed' });
    }
    expect(world.times('refund')).to.equal(ids.length);
    expect(world.times('credit')).to.equal(0);
  });

  it('one that cannot be run keeps no other from it', async () => {
    const id = await unconfirmed(true);
    await unconfirmed(true);
    clock.movedMs += 61 * minuteMs;
    const run = async (task: TaskId) => {
      if (task === id) throw new Error('a broken log');
      return await Promise.resolve('waiting' as const);
    };
    const store = new SettlementStore(services.database);
    const settings = { intervalMs: 10 * minuteMs, concurrency: 4 };
    const sweep = new Settlement(store, run, settings, clock, silentLog);
    expect(await sweep.runOnce()).to.deep.equal({ looked: 2, threw: 1, waiting: 1 });
    expect(await sweep.runOnce()).to.deep.equal({});
  });
});
