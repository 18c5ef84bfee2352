import { expect } from 'chai';
import type { Evidence } from '../../src/engine/flow.js';
import { orderNo, type OrderNo, type TaskId } from '../../src/ids.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { amountMinor } from '../../src/money.js';
import { selectRows } from '../../src/store/database.js';
import { requestFor } from '../support/requests.js';
import { useEnvironment } from '../support/suite.js';

describe('a refund, end to end', () => {
  const suite = useEnvironment();

  async function collected(): Promise<{ id: TaskId; order: OrderNo; repayment: NewRepayment }> {
    const repayment = await suite.environment.repayment();
    const { deductionId, finished } = await suite.services.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    return { id: deductionId, order: orderNo(deductionId, 1), repayment };
  }

  /** Declined, and captured all the same: money that belongs to nobody. */
  async function capturedLate(): Promise<{ id: TaskId; repayment: NewRepayment }> {
    await suite.environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'decline',
        params: { outcome: 'insufficient_funds' },
      },
    ]);
    const { id, order, repayment } = await collected();
    await suite.environment.sandbox.clearFaults();
    const late: Evidence = {
      kind: 'statement',
      orderNo: order,
      read: () => ({ kind: 'succeeded', channelRef: 'late-1' }),
      source: 'swiftpay 2026-11-22',
    };
    await suite.services.executor.run(id, late);
    return { id, repayment };
  }

  const ask = (taskId: TaskId, key: string, amount: number | null = null) => ({
    taskId,
    attemptNo: 1,
    amountMinor: amount === null ? null : amountMinor(amount),
    reason: 'asked for twice',
    requestedBy: 'ann',
    approvedBy: 'ben',
    requestKey: key,
  });

  const topics = async (id: TaskId): Promise<string[]> =>
    (
      await selectRows<{ topic: string }>(
        suite.environment.owner,
        'SELECT topic FROM outbox WHERE body LIKE ? ORDER BY id',
        [`%${id}%`],
      )
    ).map(({ topic }) => topic);

  const refusal = async (work: Promise<unknown>): Promise<unknown> =>
    await work.then(
      () => 'nothing',
      (error: { code?: string }) => error.code ?? error,
    );

  it('gives back what was credited, once, and the repayment is owed again', async () => {
    const { id, order, repayment } = await collected();
    const { id: refundId, finished } = await suite.services.refundDesk.start(ask(id, `${id}:r`));
    expect((await finished)?.outcome).to.equal('ended');
    expect(await suite.services.refunds.find(refundId)).to.include({
      status: 'succeeded',
      takenFrom: 'repayment',
      amountMinor: 120_000n,
    });
    expect((await suite.environment.sandbox.order(order))?.refunds).to.have.length(1);
    expect((await suite.services.repayments.find(repayment.id))?.paidMinor).to.equal(0n);
    expect(await topics(id)).to.deep.equal(['ledger.repayment_collected', 'ledger.refund_paid']);

    const again = await suite.services.refundDesk.start(ask(id, `${id}:r`));
    expect(again.id).to.equal(refundId);
    const more = await refusal(suite.services.refundDesk.start(ask(id, `${id}:r2`)));
    expect(more).to.equal('capture_not_available');
  });

  it('of many refunds at once, gives back no more than was captured', async () => {
    const { id, order } = await collected();
    const asked = Array.from({ length: 8 }, async (_, at) => {
      const { finished } = await suite.services.refundDesk.start(ask(id, `${id}:${at}`, 50_000));
      await finished;
    });
    const ends = await Promise.all(asked.map(refusal));
    expect(ends.filter((end) => end === 'nothing')).to.have.length.within(1, 2);
    const refunds = (await suite.environment.sandbox.order(order))?.refunds ?? [];
    expect(refunds.length * 50_000).to.be.at.most(120_000);
    const capture = await suite.services.refunds.capture(id, 1);
    expect(capture).to.include({ refundMinor: BigInt(refunds.length * 50_000) });
  });

  it('is refused by the database beyond the capture, whatever was read before', async () => {
    const { id } = await collected();
    const over = `UPDATE attempt SET refund_minor = 1 WHERE task_id = ? AND credited_minor = amount_minor`;
    const refused = await suite.environment.owner.raw(over, [id]).then(
      () => 'nothing',
      (error: Error) => error.message,
    );
    expect(refused).to.include('attempt_given_back');
  });

  it('asks after a lost answer and gives back once', async () => {
    const { id, order } = await collected();
    await suite.environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'refund', fault: 'timeout_after' },
    ]);
    const { id: refundId, finished } = await suite.services.refundDesk.start(ask(id, `${id}:lost`));
    await finished;
    await suite.environment.sandbox.clearFaults();
    await suite.services.executor.run(refundId, { kind: 'ask', by: 'test' });
    expect(await suite.services.refunds.find(refundId)).to.include({ status: 'succeeded' });
    expect((await suite.environment.sandbox.order(order))?.refunds).to.have.length(1);
  });

  it('a capture after the failure is owed back; adopted, it is paid, and can no longer be given back', async () => {
    const { id, repayment } = await capturedLate();
    expect(await topics(id)).to.deep.equal(['ledger.late_capture']);
    await suite.services.executor.run(id, {
      kind: 'decision',
      caseNo: 1,
      decision: { action: 'adopt_captured', channelRef: 'late-1', proof: 'statement' },
      by: 'ann',
      approvedBy: 'ben',
    });
    expect(await suite.services.deductions.find(id)).to.include({ status: 'succeeded' });
    expect((await suite.services.repayments.find(repayment.id))?.paidMinor).to.equal(120_000n);
    expect(await topics(id)).to.deep.equal(['ledger.late_capture', 'ledger.repayment_collected']);
    expect(await suite.services.refunds.capture(id, 1)).to.include({ creditedMinor: 120_000n });
  });

  it('what a channel took twice by itself goes back once, and the repayment stays paid', async () => {
    await suite.environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'duplicate_capture' },
    ]);
    const { id, order, repayment } = await collected();
    await suite.environment.sandbox.clearFaults();
    const booked = await suite.environment.sandbox.order(order);
    expect(booked?.captures).to.have.length(2);
    const read = () => ({ kind: 'succeeded', channelRef: 'r' }) as const;
    const source = 'swiftpay 2026-11-22';
    await suite.services.executor.run(id, {
      kind: 'statement',
      orderNo: order,
      read,
      source,
      captures: 2,
    });
    const { id: refundId, finished } = await suite.services.refundDesk.start(ask(id, `${id}:d`));
    await finished;
    const refund = await suite.services.refunds.find(refundId);
    expect(refund).to.include({ status: 'succeeded', takenFrom: 'excess', amountMinor: 120_000n });
    expect((await suite.services.repayments.find(repayment.id))?.paidMinor).to.equal(120_000n);
    expect(await topics(id)).to.deep.equal([
      'ledger.repayment_collected',
      'ledger.late_capture',
      'ledger.refund_paid',
    ]);
  });

  it('an adopted capture that is already given back is refused, and nothing is written', async () => {
    const { id } = await capturedLate();
    // The sandbox never captured it and refuses; while it is under way the money is spoken for.
    await suite.environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'refund', fault: 'timeout_before' },
    ]);
    const { id: refundId, finished } = await suite.services.refundDesk.start(ask(id, `${id}:x`));
    await finished;
    expect(await suite.services.refunds.find(refundId)).to.include({ takenFrom: 'excess' });
    const before = (await suite.services.deductions.log(id)).length;
    const adopt = suite.services.executor.run(id, {
      kind: 'decision',
      caseNo: 1,
      decision: { action: 'adopt_captured', channelRef: 'late-1', proof: 'statement' },
      by: 'ann',
      approvedBy: 'ben',
    });
    expect(await refusal(adopt)).to.equal('capture_not_available');
    expect(await suite.services.deductions.log(id)).to.have.length(before);
  });
});
