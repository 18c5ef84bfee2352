import { expect } from 'chai';
import { ActiveCheck } from '../../src/compensation/active-check.js';
import type { Services, Wrappers } from '../../src/composition/root.js';
import type { TaskId } from '../../src/ids.js';
import { silentLog } from '../../src/log.js';
import { ActiveCheckStore } from '../../src/store/active-check.js';
import { execute, selectRows } from '../../src/store/database.js';
import { Books, straight } from '../ledger/books.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { aMember, aWithdrawal, expectExplained } from './practice.js';

const hourMs = 3_600_000;

describe('withdrawals, for those on call', () => {
  let environment: TestEnvironment;
  let services: Services;
  let store: ActiveCheckStore;
  let books: Books;
  let laterMs = 2 * hourMs;

  before(async () => {
    environment = await startEnvironment({
      // It alone, which closes orders, may be asked so little.
      channels: ['unionlink'],
      adjust: (profile) => {
        const nature = profile['nature'] as Record<string, unknown>;
        nature['poll_schedule_ms'] = [10, 10, 10];
        const payouts = profile['payouts'] as Record<string, unknown> | undefined;
        if (payouts !== undefined) payouts['close_proof'] = 'none';
      },
    });
    books = new Books(environment);
    await execute(
      environment.owner,
      `INSERT INTO notice_destination (id, url, types, secret_envs, created_at)
       VALUES ('ops', 'https://ops.example.com/', '*', 'RECOUP_NOTICE_SECRET_OPS', NOW(3))`,
    );
    const ledger = { queue: () => straight(() => services.ledger.consumer) };
    services = await environment.compose({ wrappers: { ...mutable, ledger } });
    store = new ActiveCheckStore(services.database, {
      zone: environment.config.businessZone,
      booksAreOurs: true,
    });
  });
  after(async () => environment.close());
  beforeEach(() => {
    mute = false;
    laterMs += 48 * hourMs;
  });

  /** The channels do what they are asked for, and never say what came of it. */
  let mute = false;
  const pending = { kind: 'pending', channelRef: null } as const;
  const mutable: Wrappers = {
    channels: (inner) => ({
      get: (id) => {
        const channel = inner.get(id);
        const { payout } = channel ?? {};
        if (channel === undefined || payout === undefined) return channel;
        return {
          ...channel,
          payout: async (order) => {
            const answer = await payout(order);
            return mute ? pending : answer;
          },
          query: async (order) => (mute ? pending : await channel.query(order)),
        };
      },
    }),
  };

  async function withdraw(): Promise<{ id: TaskId; memberId: string }> {
    const memberId = await aMember(services, 1_000);
    const { id, finished } = await services.flows.withdrawalDesk.start(
      aWithdrawal(memberId, { amountMinor: 1_000n as never }),
    );
    await finished;
    return { id, memberId };
  }

  const check = (): ActiveCheck =>
    new ActiveCheck(
      store,
      async (task) => (await services.executor.run(task)).outcome,
      { ageMs: hourMs, concurrency: 4, intervalMs: hourMs },
      { ...services.clock, nowMs: () => Date.now() + laterMs },
      silentLog,
    );

  const findings = async (task: TaskId): Promise<string[]> =>
    (await services.cases.desk.list({ taskId: task, open: true, limit: 10 })).map(
      ({ kind, evidence }) => `${kind}: ${evidence}`,
    );

  it('are told when one ask is left; then it is a case, and nothing has been given back', async () => {
    mute = true;
    const { id, memberId } = await withdraw();
    for (let runs = 0; runs < 20; runs += 1) {
      if ((await services.executor.run(id)).outcome === 'review') break;
      await services.clock.sleep(15);
    }
    const told = await selectRows<{ body: string }>(
      environment.owner,
      `SELECT body FROM notice WHERE task_id = ? AND type = 'operators.schedule_ending'`,
      [id],
    );
    expect(told).to.have.length(1);
    const { data } = JSON.parse(told[0]?.body ?? '') as { data: Record<string, unknown> };
    expect(data).to.include({ task_kind: 'withdrawal', operation: 'payout', amount_minor: 1_000 });
    expect((await findings(id))[0]).to.match(/^outcome_unknown: asked 3 times/);
    expect(await services.flows.withdrawals.find(id)).to.include({ status: 'needs_review' });
    expect(await expectExplained(environment.owner, memberId)).to.equal(0n);
  });

  it('have the active check end what nothing wakes any more', async () => {
    mute = true;
    const { id } = await withdraw();
    mute = false;
    await execute(environment.owner, 'DELETE FROM in_flight WHERE task_id = ?', [id]);
    await check().runOnce();
    expect(await services.flows.withdrawals.find(id)).to.include({ status: 'succeeded' });
    expect(await findings(id)).to.eql([]);
  });

  it('have it give back its place in flight to what waits for a person, who could not end it else', async () => {
    mute = true;
    const { id } = await withdraw();
    for (let runs = 0; runs < 20; runs += 1) {
      if ((await services.executor.run(id)).outcome === 'review') break;
      await services.clock.sleep(15);
    }
    await execute(environment.owner, 'DELETE FROM in_flight WHERE task_id = ?', [id]);
    await check().runOnce();
    const [row] = await selectRows<{ woken: number }>(
      environment.owner,
      'SELECT wake_at IS NOT NULL AS woken FROM in_flight WHERE task_id = ?',
      [id],
    );
    expect(row, 'and is not woken for nothing').to.eql({ woken: 0 });
    mute = false;
    const { outcome } = await services.executor.run(id, { kind: 'ask', by: 'wang', once: true });
    expect(outcome).to.equal('ended');
  });

  it('have it tell the ledger what it was never told, and then find all in order', async () => {
    const { id } = await withdraw();
    await execute(
      environment.owner,
      `DELETE FROM outbox WHERE topic = 'ledger.withdrawal_paid' AND message_key = ?`,
      [`${id}/1`],
    );
    await check().runOnce();
    // The check believes that it is much later.
    await execute(environment.owner, 'UPDATE outbox SET send_at = NOW(3) WHERE send_at > NOW(3)');
    await books.deliver(services);
    const { channelId } = (await services.flows.withdrawals.find(id)) ?? {};
    expect(await books.transfers(id)).to.eql([
      'member_balances > payouts_in_transit 1000',
      `payouts_in_transit > channel_clearing:${channelId} 1000`,
    ]);
    laterMs += 48 * hourMs;
    await check().runOnce();
    expect(await findings(id)).to.eql([]);
    const followed = await selectRows(
      environment.owner,
      'SELECT 1 FROM active_check_task WHERE task_id = ?',
      [id],
    );
    expect(followed).to.eql([]);
  });

  it('have it find a balance that its money log does not explain', async () => {
    const { id, memberId } = await withdraw();
    await execute(environment.owner, 'UPDATE member_account SET balance_minor = 7 WHERE id = ?', [
      memberId,
    ]);
    await store.follow(id, Date.now());
    await check().runOnce();
    expect(await findings(id)).to.eql([
      'tables_differ: not as the log says: member_account.balance_minor is 7, not 0',
    ]);
  });
});
