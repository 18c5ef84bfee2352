import { expect } from 'chai';
import type { Action } from '../../src/cases/resolution.js';
import { ActiveCheck } from '../../src/compensation/active-check.js';
import type { Services } from '../../src/composition/root.js';
import type { TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { ActiveCheckStore } from '../../src/store/active-check.js';
import { execute, selectRows } from '../../src/store/database.js';
import type { Doom } from '../engine/doomed-process.js';
import { Books, straight } from '../ledger/books.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { finish } from '../support/finish.js';
import { shareOut, unannounced } from '../support/kills.js';
import { Nursery } from '../support/nursery.js';
import { amount, turnsOutDone, withDeadDebit, type LateDebit } from './late-debits.js';

const reason = 'the service has it in its books';
const restore = { action: 'restore', reason } as const;
const hourMs = 3_600_000;

const taken = `channel_clearing:accounts > payouts_in_transit ${amount}`;
const back = `payouts_in_transit > channel_clearing:accounts ${amount}`;

describe('a late debit, at the real stores and the service', () => {
  let environment: TestEnvironment;
  let services: Services;
  let books: Books;
  const nursery = new Nursery<Doom>(new URL('../engine/doomed-process.js', import.meta.url), 1);
  const ann = { name: 'ann', keyId: 'k1' };
  const ben = { name: 'ben', keyId: 'k2' };

  before(async () => {
    environment = await startEnvironment({ sandbox: { latencyScale: 1 }, parties: ['accounts'] });
    books = new Books(environment);
    services = await environment.compose({
      wrappers: { ledger: { queue: () => straight(() => services.ledger.consumer) } },
    });
  });
  after(async () => {
    await nursery.close();
    await environment.close();
  });
  afterEach(async () => {
    await environment.parties.accounts?.clearFaults();
    expect(await unannounced(environment), 'orders that no log announced').to.eql([]);
  });

  const faultOfRestore = async (fault: FaultRule['fault'], more: Partial<FaultRule> = {}) =>
    await environment.parties.accounts?.setFaults([
      { channel: 'accounts', operation: 'restore', fault, ...more },
    ]);

  async function late(end: 'failed' | 'paid'): Promise<LateDebit> {
    const made = await withDeadDebit(services, end);
    await turnsOutDone(services, made);
    return made;
  }

  const casesOf = async (id: TaskId) => await services.cases.desk.list({ taskId: id, limit: 10 });

  async function decide(id: TaskId, resolution: { action: Action; reason: string } = restore) {
    const { desk } = services.cases;
    const open = await desk.list({ taskId: id, open: true, limit: 1 });
    const caseId = open[0]?.id ?? '';
    const proposed = await desk.propose(caseId, resolution as typeof restore, ann);
    return await desk.approve(caseId, proposed.no, proposed.payloadDigest, ben);
  }

  const withdrawal = async (id: TaskId) => {
    const [row] = await selectRows<{ status: string; givesBack: number; inFlight: number }>(
      environment.owner,
      `SELECT status, gives_back AS givesBack,
         EXISTS (SELECT 1 FROM in_flight f WHERE f.task_id = w.id) AS inFlight
       FROM withdrawal w WHERE id = ?`,
      [id],
    );
    return row;
  };

  /** What the service has done of the withdrawal's orders, and of which debits it has given back. */
  async function atService(id: TaskId) {
    const all = (await environment.parties.accounts?.book()) ?? [];
    const attempts = await services.deductions.attempts(id);
    const own = new Set<string>(attempts.map(({ orderNo }) => orderNo));
    const done = (operation: string): number =>
      all
        .filter((one) => one.operation === operation && own.has(one.orderNo))
        .flatMap((one) => one.executions).length;
    const restored = all
      .filter(({ orderNo, restoredMinor }) => own.has(orderNo) && restoredMinor > 0)
      .map(({ orderNo }) => orderNo);
    return { debits: done('debit'), restores: done('restore'), restored };
  }

  async function expectBack({ id, order }: LateDebit, status: 'succeeded' | 'failed') {
    await finish(services, id);
    const paid = status === 'succeeded';
    expect(await atService(id)).to.eql({
      debits: paid ? 2 : 1,
      restores: 1,
      restored: [order.orderNo],
    });
    expect(await withdrawal(id)).to.eql({ status, givesBack: 0, inFlight: 0 });
    expect((await casesOf(id)).filter(({ closedAt }) => closedAt === null)).to.eql([]);
    await books.deliver(services);
    const told = (await books.transfers(id)).filter((line) => line.includes(':accounts'));
    expect(told.toSorted((a, b) => a.localeCompare(b))).to.eql(
      paid ? [taken, taken, back] : [taken, back],
    );
  }

  for (const [end, status, kind] of [
    ['failed', 'failed', 'late_success'],
    ['paid', 'succeeded', 'captured_twice'],
  ] as const) {
    it(`${end}: two people decide, and it is given back once; the end and the books stay true`, async () => {
      const made = await late(end);
      const { id } = made;
      expect(await withdrawal(id)).to.eql({ status, givesBack: 0, inFlight: 0 });
      const [about] = await casesOf(id);
      expect(about).to.include({ kind, operation: 'debit', closedAt: null });
      expect(await decide(id)).to.include({ state: 'executed', outcome: 'restore' });
      await expectBack(made, status);
      const [closed] = await casesOf(id);
      expect(closed?.resolution).to.equal(`to be given back: ${reason} (ann, approved by ben)`);
      const again = { kind: 'decision', caseNo: 1, decision: restore } as const;
      await services.executor.run(id, { ...again, by: 'cy', approvedBy: 'dee' });
      await expectBack(made, status);
    });
  }

  it('its answer lost and the service away for a while: in flight until it is back', async () => {
    const made = await late('failed');
    await faultOfRestore('reset_after', { nth: 1 });
    await decide(made.id);
    expect(await withdrawal(made.id)).to.eql({ status: 'failed', givesBack: 1, inFlight: 1 });
    await expectBack(made, 'failed');
  });

  it('refused for good: a case, and another order when two people say so', async () => {
    const made = await late('failed');
    await faultOfRestore('decline', { params: { outcome: 'account_closed' } });
    await decide(made.id);
    await finish(services, made.id);
    await environment.parties.accounts?.clearFaults();
    const [, stuck] = await casesOf(made.id);
    expect(stuck).to.include({ kind: 'undo_failed', closedAt: null });
    expect(await withdrawal(made.id)).to.eql({ status: 'failed', givesBack: 1, inFlight: 1 });
    const { desk } = services.cases;
    const asked = await desk.propose(stuck?.id ?? '', { action: 'ask_again' }, ann);
    await desk.approve(stuck?.id ?? '', asked.no, asked.payloadDigest, ben);
    await expectBack(made, 'failed');
  });

  it('whose place in flight is lost is found by the active check, and goes back', async () => {
    const made = await late('failed');
    await faultOfRestore('reset_before');
    await decide(made.id);
    await environment.parties.accounts?.clearFaults();
    await execute(environment.owner, 'DELETE FROM in_flight WHERE task_id = ?', [made.id]);
    const store = new ActiveCheckStore(services.database, {
      zone: environment.config.businessZone,
      booksAreOurs: true,
    });
    const check = new ActiveCheck(
      store,
      async (task) => (await services.executor.run(task)).outcome,
      { ageMs: hourMs, concurrency: 4, intervalMs: hourMs },
      { ...services.clock, nowMs: () => Date.now() + 2 * hourMs },
      silentLog,
    );
    await check.runOnce();
    const found = await withdrawal(made.id);
    expect(found?.inFlight, 'in flight until it is back').to.equal(found?.givesBack);
    await expectBack(made, 'failed');
  });

  it('killed on any line of it, it is given back once', async function () {
    this.timeout(120_000);
    const places = ['before commit 1', 'after commit 1', 'before restore 1', 'during restore 1'];
    places.push('after restore 1', 'before commit 2', 'after commit 2');
    const killed = await Promise.all(
      shareOut(places).map(async (ours) => {
        const lives = await Promise.all(
          ours.map(async (killAt) => ({ killAt, made: await late('failed') })),
        );
        const process = await nursery.doomed<Doom>();
        const ends = await process.live({
          env: environment.env,
          inFlightMs: 25,
          lives: lives.map(({ killAt, made }) => ({ killAt, task: made.id, restores: 1 })),
        });
        await Promise.all(
          lives.map(async ({ made: { id } }) => {
            await services.redis.del(`recoup:lock:withdrawal:${id}`);
            // What was approved is carried out at least once: whoever comes next does so again.
            const again = { kind: 'decision', caseNo: 1, decision: restore } as const;
            await services.executor.run(id, { ...again, by: 'ann', approvedBy: 'ben' });
            await finish(services, id);
          }),
        );
        for (const { made } of lives) await expectBack(made, 'failed');
        return ours.filter((_place, at) => ends[at]?.killed);
      }),
    );
    expect(killed.flat().toSorted((a, b) => a.localeCompare(b))).to.eql(
      places.toSorted((a, b) => a.localeCompare(b)),
    );
  });
});
