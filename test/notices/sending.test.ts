import { expect } from 'chai';
import type { CaseRecord, Person } from '../../src/cases/case.js';
import type { Resolution } from '../../src/cases/resolution.js';
import type { Services } from '../../src/composition/root.js';
import { selectRows } from '../../src/store/database.js';
import type { NoticeStory } from '../../src/notices/records.js';
import { requestFor } from '../support/requests.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { Receiver } from './receiver.js';

const wang: Person = { name: 'Wang Fang', keyId: 'key_wang' };
const li: Person = { name: 'Li Na', keyId: 'key_li' };

const config = {
  noticeAllowInternal: true,
  noticeTimeoutMs: 25_000,
  noticeClaimMs: 60_000,
  noticeRetryMs: [60_000],
  noticeGiveUpMs: 86_400_000,
  noticePerDestination: 2,
};

describe('sending notices', () => {
  let environment: TestEnvironment;
  let services: Services;
  let receiver: Receiver;
  const secretEnvs = ['RECOUP_NOTICE_SECRET_TEST'];

  before(async () => {
    [environment, receiver] = await Promise.all([startEnvironment(), Receiver.start()]);
  });
  after(async () => {
    await environment.close();
    await receiver.close();
  });
  beforeEach(async () => {
    receiver.answer = () => 204;
    receiver.received.length = 0;
    services = await opened();
  });
  afterEach(async () => {
    for (const { id } of await services.notices.desk.destinations()) {
      await services.notices.desk.remove(id, 'test');
    }
    await services.close();
  });

  const opened = async (changed: Partial<typeof config> = {}): Promise<Services> =>
    await environment.compose({
      config: { ...config, ...changed },
      env: { [secretEnvs[0]!]: receiver.secret },
    });

  let destinations = 0;
  async function destination(types: '*' | string[] = '*'): Promise<string> {
    destinations += 1;
    const id = `d${destinations}`;
    const url = receiver.url(`/${id}`);
    await services.notices.desk.add({ id, url, types, secretEnvs }, 'test');
    await services.notices.directory.refresh();
    return id;
  }

  async function collect(): Promise<string> {
    const { deductionId, finished } = await services.desk.start(
      requestFor(await environment.repayment()),
    );
    await finished;
    return deductionId;
  }

  /** Sends what is due now; what is to come again is not waited for. */
  async function send({ notices: { relay } }: Services = services): Promise<void> {
    await relay.tick();
    await relay.idle();
  }

  async function storyOf(taskId: string): Promise<NoticeStory> {
    const [notice] = await services.notices.desk.list({ taskId, limit: 10 });
    return await services.notices.desk.show(notice!.id);
  }

  const dueNow = async (): Promise<void> => {
    await environment.owner.raw(
      `UPDATE notice_delivery SET next_at = '2020-01-01' WHERE next_at IS NOT NULL`,
    );
  };

  it('tells every destination that wants it, once, and keeps a log of it', async () => {
    const [all, mine, other] = [
      await destination(),
      await destination(['deduction.succeeded', 'refund.failed']),
      await destination(['refund.succeeded', 'case.opened']),
    ];
    const task = await collect();
    await send();
    await send();
    expect(receiver.forged).to.eql([]);
    const arrived = receiver.received.map(({ path, event }) => `${path} ${event.type}`).sort();
    expect(arrived).to.eql([`/${all} deduction.succeeded`, `/${mine} deduction.succeeded`]);
    const { notice, body, deliveries, tries } = await storyOf(task);
    expect(receiver.received.map((one) => one.id)).to.eql([notice.id, notice.id]);
    expect(receiver.received.map((one) => one.body)).to.eql([body, body]);
    expect(deliveries.map((one) => [one.destinationId, one.state])).to.eql([
      [all, 'delivered'],
      [mine, 'delivered'],
    ]);
    expect(tries.map((one) => one.httpStatus)).to.eql([204, 204]);
    expect(receiver.at(`/${other}`)).to.eql([]);
  });

  it('comes again under the same id and with the same body until it is taken', async () => {
    const id = await destination();
    const statuses = [500, 302, 404];
    receiver.answer = () => statuses.shift() ?? 200;
    const task = await collect();
    for (let tries = 0; tries < 4; tries += 1) {
      await send();
      await dueNow();
    }
    const arrived = receiver.at(`/${id}`);
    expect(arrived).to.have.length(4);
    expect(new Set(arrived.map((one) => one.id + one.body))).to.have.property('size', 1);
    const { deliveries, tries } = await storyOf(task);
    expect(deliveries).to.have.length(1);
    expect(deliveries[0]).to.include({ state: 'delivered', tries: 4, nextAt: null });
    expect(tries.map((one) => one.httpStatus)).to.eql([500, 302, 404, 200]);
    expect(tries[0]?.error).to.equal('500: what is said to people');
  });

  it('one destination that hangs holds up no other', async () => {
    const [slow, quick] = [await destination(), await destination()];
    receiver.answer = ({ path }) => (path === `/${slow}` ? 'hang' : 204);
    const tasks = await Promise.all(Array.from({ length: 5 }, collect));
    const { relay } = services.notices;
    const untilMs = performance.now() + config.noticeTimeoutMs - 500;
    while (receiver.at(`/${quick}`).length < tasks.length && performance.now() < untilMs) {
      await relay.tick();
      await services.clock.sleep(5);
    }
    // Not one request to the slow one has ended by now.
    expect(receiver.at(`/${quick}`)).to.have.length(tasks.length);
    expect(receiver.at(`/${slow}`)).to.have.length(config.noticePerDestination);
    receiver.answer = () => 204;
    receiver.release(503);
    await relay.idle();
    await dueNow();
    for (let rounds = 0; rounds < 3; rounds += 1) await send();
    const told = new Set(receiver.at(`/${slow}`).map((one) => one.event.data['id']));
    expect(told).to.eql(new Set(tasks));
  });

  it('given up after a day it is a case, and sent again by hand it ends the case', async () => {
    const id = await destination();
    receiver.answer = () => 503;
    const task = await collect();
    await send();
    const openCases = async () => await services.cases.desk.list({ open: true, limit: 10 });
    expect(await openCases()).to.eql([]);
    await environment.owner.raw(
      `UPDATE notice_delivery SET first_try_at = first_try_at - INTERVAL 1 DAY`,
    );
    await dueNow();
    await send();
    const { notice, deliveries } = await storyOf(task);
    expect(deliveries[0]).to.include({ state: 'exhausted', nextAt: null, lastStatus: 503 });
    const [opened] = await openCases();
    expect(opened).to.include({ source: 'notice', kind: 'notices_exhausted' });
    expect(opened?.evidence).to.match(new RegExp(`^${id}: given up .* ${notice.id}: 503`));
    await dueNow();
    await send();
    expect(receiver.at(`/${id}`).filter((one) => one.id === notice.id)).to.have.length(2);

    receiver.answer = () => 204;
    await services.notices.desk.redeliver(notice.id, null, 'Wang Fang');
    await send();
    expect((await storyOf(task)).deliveries[0]).to.include({ state: 'delivered' });
    expect(await openCases()).to.eql([]);
    const [audit] = await selectRows<object>(
      environment.owner,
      `SELECT * FROM audit WHERE action = 'notice_redeliver'`,
    );
    expect(audit).to.include({ actor: 'Wang Fang', subject: notice.id });
  });

  it('what was given up is sent again, or dropped, by the decision of two people', async () => {
    const id = await destination(['deduction.succeeded']);
    const { desk } = services.cases;
    const giveUp = async (): Promise<CaseRecord> => {
      receiver.answer = () => 503;
      await Promise.all([collect(), collect()]);
      await send();
      await environment.owner.raw(
        `UPDATE notice_delivery SET first_try_at = first_try_at - INTERVAL 1 DAY`,
      );
      await dueNow();
      await send();
      receiver.answer = () => 204;
      receiver.received.length = 0;
      const open = await desk.list({ open: true, limit: 10 });
      expect(open.map(({ kind }) => kind)).to.eql(['notices_exhausted']);
      return open[0]!;
    };
    const resolve = async (one: CaseRecord, resolution: Resolution): Promise<void> => {
      const { no, payloadDigest } = await desk.propose(one.id, resolution, wang);
      const { state } = await desk.approve(one.id, no, payloadDigest, li);
      expect(state).to.equal('executed');
    };
    const exhausted = async () =>
      await services.notices.desk.list({ destinationId: id, state: 'exhausted', limit: 10 });

    await resolve(await giveUp(), { action: 'ask_again' });
    await send();
    expect(receiver.received).to.have.length(2);
    expect(await desk.list({ open: true, limit: 10 })).to.eql([]);

    await resolve(await giveUp(), { action: 'write_off', reason: 'told by telephone' });
    await send();
    expect(receiver.received).to.eql([]);
    expect(await exhausted()).to.eql([]);
    expect(await desk.list({ open: true, limit: 10 })).to.eql([]);
  });

  it('a destination that says it is gone is paused, and is a case until it is resumed', async () => {
    const id = await destination();
    receiver.answer = () => 410;
    await collect();
    await send();
    const paused = async () =>
      (await services.notices.desk.destinations()).find((one) => one.id === id)?.paused?.why;
    expect(await paused()).to.equal('it answered 410: gone');
    await collect();
    await dueNow();
    await send();
    expect(receiver.at(`/${id}`)).to.have.length(1);
    const cases = async () =>
      (await services.cases.desk.list({ open: true, limit: 10 })).map(({ kind }) => kind);
    expect(await cases()).to.eql(['destination_gone']);

    receiver.answer = () => 204;
    await services.notices.desk.change(id, { kind: 'resume' }, 'test');
    await services.notices.directory.refresh();
    await dueNow();
    for (let rounds = 0; rounds < 3; rounds += 1) await send();
    expect(await cases()).to.eql([]);
    // Both deductions, and the case itself.
    const told = receiver.at(`/${id}`).slice(1);
    expect(told.map((one) => one.event.type).sort()).to.eql([
      'case.opened',
      'deduction.succeeded',
      'deduction.succeeded',
    ]);
  });

  it('time on pause is not held against a notice', async () => {
    const id = await destination();
    receiver.answer = () => 503;
    const task = await collect();
    await send();
    await environment.owner.raw(
      `UPDATE notice_delivery SET first_try_at = first_try_at - INTERVAL 3 DAY`,
    );
    await services.notices.desk.change(id, { kind: 'pause' }, 'test');
    await services.notices.desk.change(id, { kind: 'resume' }, 'test');
    await services.notices.directory.refresh();
    await dueNow();
    await send();
    expect((await storyOf(task)).deliveries[0]).to.include({ state: 'waiting', tries: 2 });
  });

  it('waits where the secret is missing, and uses up no try', async () => {
    await destination();
    const task = await collect();
    const without = await environment.compose({ config });
    await send(without);
    await without.close();
    expect(receiver.received).to.eql([]);
    expect((await storyOf(task)).deliveries[0]).to.include({ state: 'waiting', tries: 0 });
    await send();
    expect(receiver.received).to.have.length(1);
  });

  it('several relays send each notice once', async () => {
    await destination();
    const others = await Promise.all([opened(), opened()]);
    const tasks = await Promise.all(Array.from({ length: 20 }, collect));
    for (let rounds = 0; rounds < 10; rounds += 1) {
      await Promise.all([services, ...others].map(async (one) => await send(one)));
    }
    await Promise.all(others.map((one) => one.close()));
    const told = receiver.received.map((one) => String(one.event.data['id']));
    expect(told.sort()).to.eql([...tasks].sort());
  });

  it('what is not recorded is sent again, under the same id', async () => {
    await destination();
    let lost = 0;
    const forgetful = await environment.compose({
      config,
      env: { [secretEnvs[0]!]: receiver.secret },
      wrappers: {
        notices: {
          deliveries: (inner) => ({
            fanOut: (limit, nowMs) => inner.fanOut(limit, nowMs),
            claim: (claim) => inner.claim(claim),
            purge: (beforeMs, limit) => inner.purge(beforeMs, limit),
            record: async () => {
              lost += 1;
              throw new Error('the process stops here');
            },
          }),
        },
      },
    });
    await collect();
    await send(forgetful);
    await forgetful.close();
    expect(lost).to.equal(1);
    // Its claim holds for now.
    await send();
    expect(receiver.received).to.have.length(1);
    await dueNow();
    await send();
    const ids = receiver.received.map((one) => one.id);
    expect(ids).to.have.length(2);
    expect(new Set(ids)).to.have.property('size', 1);
  });

  it('purges what waits for nobody, by age', async () => {
    const id = await destination();
    await collect();
    await send();
    receiver.answer = () => 500;
    const waiting = await collect();
    await send();
    const { purge } = services.notices.aged;
    const count = async (table: string): Promise<number> =>
      (await environment.owner(table).select('id')).length;
    expect(await purge(Date.now() - 86_400_000, 1_000)).to.equal(0);
    await purge(Date.now() + 60_000, 1_000);
    expect([await count('notice'), await count('notice_delivery')]).to.eql([1, 1]);
    expect(await count('notice_try')).to.equal(1);
    expect((await storyOf(waiting)).deliveries[0]).to.include({ state: 'waiting' });
    expect(receiver.at(`/${id}`)).to.have.length(2);
  });

  it('nothing is written while nobody wants it', async () => {
    await services.notices.directory.refresh();
    const task = await collect();
    expect(await services.notices.desk.list({ taskId: task, limit: 1 })).to.eql([]);
    await destination(['refund.succeeded']);
    const another = await collect();
    expect(await services.notices.desk.list({ taskId: another, limit: 1 })).to.eql([]);
  });
});
