import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import { orderNo, type OrderNo, type TaskId } from '../../src/ids.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';
import { Books, straight } from './books.js';

describe('what the engine tells, in the books', () => {
  let environment: TestEnvironment;
  let services: Services;
  let books: Books;
  const deductions: TaskId[] = [];

  before(async () => {
    environment = await startEnvironment();
    books = new Books(environment);
    services = await environment.compose({
      wrappers: { ledger: { queue: () => straight(() => services.ledger.consumer) } },
    });
  });
  after(async () => environment.close());

  async function collected(): Promise<{ id: TaskId; order: OrderNo }> {
    const { deductionId: id, finished } = await services.desk.start(
      requestFor(await environment.repayment()),
    );
    expect((await finished).outcome).to.equal('ended');
    deductions.push(id);
    return { id, order: orderNo(id, 1) };
  }

  /** Captured, called a decline, and found in the statement: money that nobody owed. */
  async function capturedLate(): Promise<TaskId> {
    await environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'contradiction',
        params: { outcome: 'insufficient_funds' },
      },
    ]);
    const { id, order } = await collected();
    await environment.sandbox.clearFaults();
    const log = await services.deductions.log(id);
    const intent = log.find(({ entry }) => entry.kind === 'charge_intended')?.entry;
    if (intent?.kind !== 'charge_intended') throw new Error('nothing was sent');
    const answer = await services.directory.get(intent.order.channelId)?.query(intent.order);
    if (answer?.kind !== 'succeeded') throw new Error(`the channel says ${answer?.kind}`);
    const source = 'swiftpay 2026-11-22';
    await services.executor.run(id, {
      kind: 'statement',
      orderNo: order,
      read: () => answer,
      source,
    });
    return id;
  }

  async function refund(taskId: TaskId): Promise<void> {
    const { finished } = await services.refundDesk.start({
      taskId,
      attemptNo: 1,
      amountMinor: null,
      reason: 'asked for twice',
      requestedBy: 'ann',
      approvedBy: 'ben',
      requestKey: `refund:${taskId}`,
    });
    expect((await finished)?.outcome).to.equal('ended');
  }

  const [clearing, receivable, owed] = [
    'channel_clearing:swiftpay',
    'borrower_receivable',
    'owed_to_borrowers',
  ];

  it('a repayment that was given back is owed again', async () => {
    const { id } = await collected();
    await refund(id);
    await books.deliver(services);
    expect(await books.transfers(id)).to.eql([
      `${receivable} > ${clearing} 120000`,
      `${clearing} > ${receivable} 120000`,
    ]);
  });

  it('a late capture is owed back, until it is given back', async () => {
    const id = await capturedLate();
    await books.deliver(services);
    expect(await books.transfers(id)).to.eql([`${clearing} > ${owed} 120000`]);
    await refund(id);
    await books.deliver(services);
    expect(await books.transfers(id)).to.eql([
      `${clearing} > ${owed} 120000`,
      `${owed} > ${clearing} 120000`,
    ]);
  });

  it('a late capture that is adopted pays the repayment', async () => {
    const id = await capturedLate();
    await services.executor.run(id, {
      kind: 'decision',
      caseNo: 1,
      decision: { action: 'adopt_captured', channelRef: 'late', proof: 'statement' },
      by: 'ann',
      approvedBy: 'ben',
    });
    await books.deliver(services);
    expect(await books.transfers(id)).to.eql([
      `${clearing} > ${owed} 120000`,
      `${owed} > ${receivable} 120000`,
    ]);
  });

  it('in the end the channel holds what its own book says, and nothing is owed back', async () => {
    await collected();
    await books.deliver(services);
    const { accounts, undelivered } = await services.ledger.reads.trialBalance();
    const numbers = new Set<string>(deductions.map((id) => orderNo(id, 1)));
    const book = (await environment.sandbox.book()).filter((one) => numbers.has(one.orderNo));
    const held = book.reduce(
      (sum, { captures, refunds }) => sum + 120_000n * BigInt(captures.length - refunds.length),
      0n,
    );
    expect(held).to.equal(240_000n);
    const balances = accounts.map(({ account, balanceMinor }) => [account, balanceMinor]);
    expect(Object.fromEntries(balances)).to.eql({
      [clearing]: held,
      [receivable]: -240_000n,
      [owed]: 0n,
    });
    expect(undelivered.messages).to.equal(0);
  });
});
