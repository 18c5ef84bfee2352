import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { WithdrawalState } from '../../src/engine/withdrawal.js';
import { channelId, type TaskId } from '../../src/ids.js';
import type { WithdrawalRequest } from '../../src/intake/withdrawal-desk.js';
import { amountMinor } from '../../src/money.js';
import type { FaultRule } from '../../src/sandbox/faults.js';
import { Books, straight } from '../ledger/books.js';
import type { BookedOrder } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { finish } from '../support/finish.js';
import { aMember, aWithdrawal, expectExplained } from './practice.js';

const amount = 50_000;
let accounts = 0;

describe('withdrawals, end to end', () => {
  let environment: TestEnvironment;
  let services: Services;
  let books: Books;

  before(async () => {
    environment = await startEnvironment({ parties: ['accounts'] });
    books = new Books(environment);
    services = await environment.compose({
      wrappers: { ledger: { queue: () => straight(() => services.ledger.consumer) } },
    });
  });
  after(async () => environment.close());
  afterEach(async () => {
    await environment.sandbox.clearFaults();
    await environment.parties.accounts?.clearFaults();
  });

  const payouts = (fault: FaultRule['fault'], more: Partial<FaultRule> = {}): FaultRule => ({
    channel: '*',
    operation: 'payout',
    fault,
    ...more,
  });
  const declines = payouts('decline', { params: { outcome: 'account_closed' } });

  async function withdraw(fields: Partial<WithdrawalRequest> = {}) {
    const memberId = await aMember(services, 2 * amount);
    const request = aWithdrawal(memberId, { amountMinor: amountMinor(amount), ...fields });
    const { id, finished } = await services.flows.withdrawalDesk.start(request);
    await finished;
    return { id, memberId };
  }

  /** From an account at the service, which has 10,000.00 on it. */
  const elsewhere = (): Partial<WithdrawalRequest> => {
    accounts += 1;
    const account = { token: `tok_ok_acct_${accounts}`, bankCode: 'BALANCE', last4: '0001' };
    return { accountService: { id: channelId('accounts'), account } };
  };

  const stateOf = async (id: TaskId): Promise<WithdrawalState> =>
    (await services.executor.run(id)).state as WithdrawalState;

  /** What the channels' and the service's own books say of a withdrawal's orders. */
  async function booked(id: TaskId, operation: BookedOrder['operation']) {
    const own = new Set((await services.deductions.attempts(id)).map(({ orderNo }) => orderNo));
    const all = await Promise.all(
      [environment.sandbox, environment.parties.accounts].map(
        async (one) => (await one?.book()) ?? [],
      ),
    );
    return all.flat().filter((one) => one.operation === operation && own.has(one.orderNo));
  }

  const executions = async (id: TaskId, operation: BookedOrder['operation']): Promise<number> =>
    (await booked(id, operation)).flatMap((one) => one.executions).length;

  const status = async (id: TaskId) => (await services.flows.withdrawals.find(id))?.status;

  it('takes the balance, pays it out once, and tells the ledger', async () => {
    const { id, memberId } = await withdraw();
    expect(await finish(services, id)).to.equal('ended');
    expect(await status(id)).to.equal('succeeded');
    expect(await executions(id, 'payout')).to.equal(1);
    expect(await expectExplained(environment.owner, memberId)).to.equal(BigInt(amount));
    await books.deliver(services);
    const record = await services.flows.withdrawals.find(id);
    expect(await books.transfers(id)).to.eql([
      `member_balances > payouts_in_transit ${amount}`,
      `payouts_in_transit > channel_clearing:${record?.channelId} ${amount}`,
    ]);
  });

  it('takes nothing at an account service that is paused', async () => {
    const { channelStore, directory } = services;
    const pause = async (paused: boolean): Promise<void> => {
      await channelStore.setPaused(channelId('accounts'), paused, Date.now());
      await directory.refresh();
    };
    await pause(true);
    const refused = await withdraw(elsewhere()).catch((error: unknown) => error);
    await pause(false);
    expect(refused).to.have.property('code', 'no_eligible_channel');
    const rejected = [{ channel_id: 'accounts', code: 'paused', reason: 'paused by an operator' }];
    expect(refused).to.have.deep.property('details', { rejected });
    const { id } = await withdraw(elsewhere());
    expect(await finish(services, id)).to.equal('ended');
    expect(await status(id)).to.equal('succeeded');
  });

  it('refused everywhere: given back once, as a posting of its own', async () => {
    await environment.sandbox.setFaults([declines]);
    const { id, memberId } = await withdraw();
    expect(await finish(services, id)).to.equal('ended');
    expect(await services.flows.withdrawals.find(id)).to.include({
      status: 'failed',
      failureCode: 'account_closed',
    });
    expect(await expectExplained(environment.owner, memberId)).to.equal(BigInt(2 * amount));
    const entries = await services.flows.members.entries(memberId, 'CNY', 10);
    expect(entries.map(({ kind }) => kind)).to.eql(['given_back', 'withdrawn', 'deposited']);
    await books.deliver(services);
    expect(await books.transfers(id)).to.eql([
      `member_balances > payouts_in_transit ${amount}`,
      `payouts_in_transit > member_balances ${amount}`,
    ]);
  });

  it('paid, and the answer lost: asked about, never paid again', async () => {
    await environment.sandbox.setFaults([payouts('reset_after', { nth: 1 })]);
    const { id, memberId } = await withdraw();
    expect(await finish(services, id)).to.equal('ended');
    expect(await status(id)).to.equal('succeeded');
    expect(await executions(id, 'payout')).to.equal(1);
    expect(await expectExplained(environment.owner, memberId)).to.equal(BigInt(amount));
  });

  it('the channel out of reach after the payout: nothing is given back, however often it is run', async () => {
    await environment.sandbox.setFaults([
      payouts('reset_after'),
      { channel: '*', operation: 'query', fault: 'reset_before' },
    ]);
    const { id, memberId } = await withdraw();
    for (let runs = 0; runs < 5; runs += 1) {
      await services.executor.run(id);
      await services.clock.sleep(120);
    }
    expect(await status(id)).to.equal('processing');
    expect(await expectExplained(environment.owner, memberId)).to.equal(BigInt(amount));
    await environment.sandbox.clearFaults();
    expect(await finish(services, id)).to.equal('ended');
    expect(await status(id)).to.equal('succeeded');
  });

  it('paid late, after it was given back: a case that people can only see to, and the books show it', async () => {
    await environment.sandbox.setFaults([declines]);
    const { id, memberId } = await withdraw();
    await finish(services, id);
    const [attempt] = (await stateOf(id)).attempts;
    if (attempt === undefined) throw new Error('nothing was sent');
    const { orderNo } = attempt.order;
    const read = () => ({ kind: 'succeeded', channelRef: 'late-1' }) as const;
    await services.executor.run(id, { kind: 'callback', orderNo, read });
    await services.executor.run(id, { kind: 'callback', orderNo, read });
    expect(await status(id)).to.equal('failed');
    expect(await expectExplained(environment.owner, memberId)).to.equal(BigInt(2 * amount));
    const [found] = await services.cases.desk.list({ taskId: id, limit: 10 });
    expect(found).to.include({ kind: 'late_success', taskKind: 'withdrawal', closedAt: null });
    const ann = { name: 'ann', keyId: 'k1' };
    const adopt = { action: 'adopt_captured', channelRef: 'late-1', proof: 'advice 17' } as const;
    const refused = await services.cases.desk
      .propose(found?.id ?? '', adopt, ann)
      .catch((error: { code: string }) => error.code);
    expect(refused).to.equal('resolution_not_possible');
    await books.deliver(services);
    expect(await books.transfers(id)).to.include(
      `payouts_in_transit > channel_clearing:${attempt.order.channelId} ${amount}`,
    );
  });

  describe('from an account service', () => {
    it('debits there, then pays out', async () => {
      const { id, memberId } = await withdraw(elsewhere());
      expect(await finish(services, id)).to.equal('ended');
      expect(await status(id)).to.equal('succeeded');
      expect(await executions(id, 'debit')).to.equal(1);
      expect(await executions(id, 'payout')).to.equal(1);
      // No balance of ours is touched.
      expect(await expectExplained(environment.owner, memberId)).to.equal(BigInt(2 * amount));
      await books.deliver(services);
      const record = await services.flows.withdrawals.find(id);
      expect(await books.transfers(id)).to.eql([
        `channel_clearing:accounts > payouts_in_transit ${amount}`,
        `payouts_in_transit > channel_clearing:${record?.channelId} ${amount}`,
      ]);
    });

    it('too little there: nothing is paid out', async () => {
      const much = { ...elsewhere(), amountMinor: amountMinor(1_000_001) };
      const { id } = await withdraw(much);
      expect(await finish(services, id)).to.equal('ended');
      expect(await services.flows.withdrawals.find(id)).to.include({
        status: 'failed',
        failureCode: 'insufficient_balance',
      });
      expect(await booked(id, 'payout')).to.eql([]);
      expect(await executions(id, 'restore')).to.equal(0);
    });

    it('the first call succeeded, the second never will: restored once, also when its answers are lost', async () => {
      await environment.sandbox.setFaults([declines]);
      await environment.parties.accounts?.setFaults([
        { channel: 'accounts', operation: 'restore', fault: 'reset_after', nth: 1 },
      ]);
      const { id } = await withdraw(elsewhere());
      expect(await finish(services, id)).to.equal('ended');
      expect(await status(id)).to.equal('failed');
      const [debit] = await booked(id, 'debit');
      expect(debit?.restoredMinor).to.equal(amount);
      expect(await executions(id, 'restore')).to.equal(1);
      expect(await executions(id, 'payout')).to.equal(0);
      await books.deliver(services);
      expect(await books.transfers(id)).to.eql([
        `channel_clearing:accounts > payouts_in_transit ${amount}`,
        `payouts_in_transit > channel_clearing:accounts ${amount}`,
      ]);
    });

    it('a debit whose answer is lost is asked about before anything is paid', async () => {
      await environment.parties.accounts?.setFaults([
        { channel: 'accounts', operation: 'debit', fault: 'reset_after', nth: 1 },
      ]);
      const { id } = await withdraw(elsewhere());
      expect(await finish(services, id)).to.equal('ended');
      expect(await status(id)).to.equal('succeeded');
      expect(await executions(id, 'debit')).to.equal(1);
      expect(await executions(id, 'payout')).to.equal(1);
    });

    /** The debit is done, no payout will be, and the service refuses to restore. */
    async function stuck(): Promise<TaskId> {
      await environment.sandbox.setFaults([declines]);
      await environment.parties.accounts?.setFaults([
        {
          channel: 'accounts',
          operation: 'restore',
          fault: 'decline',
          params: { outcome: 'account_closed' },
        },
      ]);
      const { id } = await withdraw(elsewhere());
      expect(await finish(services, id)).to.equal('review');
      await environment.parties.accounts?.clearFaults();
      return id;
    }

    const ann = { name: 'ann', keyId: 'k1' };
    const ben = { name: 'ben', keyId: 'k2' };

    async function decide(id: TaskId, action: 'ask_again' | 'write_off') {
      const [found] = await services.cases.desk.list({ taskId: id, open: true, limit: 10 });
      expect(found?.kind).to.equal('undo_failed');
      const { desk } = services.cases;
      const resolution =
        action === 'ask_again'
          ? { action }
          : ({ action, reason: 'given back over the counter' } as const);
      const caseId = found?.id ?? '';
      const proposed = await desk.propose(caseId, resolution, ann);
      return await desk.approve(caseId, proposed.no, proposed.payloadDigest, ben);
    }

    it('a restore that cannot be done: two people have another order tried, and it is restored once', async () => {
      const id = await stuck();
      expect(await decide(id, 'ask_again')).to.include({ state: 'executed' });
      expect(await finish(services, id)).to.equal('ended');
      expect(await status(id)).to.equal('failed');
      expect(await executions(id, 'restore')).to.equal(1);
      // Carried out once more, as after a crash: it was done.
      const [closed] = await services.cases.desk.list({ taskId: id, limit: 10 });
      expect(closed?.resolution).to.equal('tried again (ann, ben)');
    });

    it('a restore that cannot be done: two people have seen to it, and nothing more is sent', async () => {
      const id = await stuck();
      const before = (await stateOf(id)).attempts.length;
      expect(await decide(id, 'write_off')).to.include({ state: 'executed' });
      expect(await finish(services, id)).to.equal('ended');
      expect(await status(id)).to.equal('failed');
      expect((await stateOf(id)).attempts).to.have.length(before);
      expect(await executions(id, 'restore')).to.equal(0);
    });
  });
});
