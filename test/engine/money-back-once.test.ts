/** Attempts to give money back that is spoken for, on the real stores. */
import { expect } from 'chai';
import type { Decision } from '../../src/engine/entries.js';
import type { Evidence } from '../../src/engine/flow.js';
import { orderNo, type TaskId } from '../../src/ids.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { requestFor } from '../support/requests.js';
import { useEnvironment } from '../support/suite.js';

describe('money that is spoken for', () => {
  const suite = useEnvironment();

  async function collect(): Promise<{ id: TaskId; repayment: NewRepayment }> {
    const repayment = await suite.environment.repayment();
    const { deductionId: id, finished } = await suite.services.desk.start(requestFor(repayment));
    await finished;
    return { id, repayment };
  }

  async function capturedLate(): Promise<{ id: TaskId; repayment: NewRepayment }> {
    await suite.environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'decline',
        params: { outcome: 'insufficient_funds' },
      },
    ]);
    const failed = await collect();
    await suite.environment.sandbox.clearFaults();
    const late: Evidence = {
      kind: 'callback',
      orderNo: orderNo(failed.id, 1),
      read: () => ({ kind: 'succeeded', channelRef: 'late-1' }),
    };
    await suite.services.executor.run(failed.id, late);
    return failed;
  }

  const decided = (decision: Decision): Evidence => ({
    kind: 'decision',
    caseNo: 1,
    decision,
    by: 'ann',
    approvedBy: 'ben',
  });

  const ask = (taskId: TaskId, key = 'r') => ({
    taskId,
    attemptNo: 1,
    amountMinor: null,
    reason: 'asked for twice',
    requestedBy: 'ann',
    approvedBy: 'ben',
    requestKey: `${taskId}:${key}`,
  });

  const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
    await work.then(
      () => 'done',
      (error: { code?: string }) => error.code ?? error,
    );

  it('is not given back as excess where a process of the release before credited it', async () => {
    const { id, repayment } = await collect();
    // That release writes its rows without the columns of migration 004.
    await suite.environment.owner.raw('UPDATE attempt SET credited_minor = 0 WHERE task_id = ?', [
      id,
    ]);
    const { id: refundId, finished } = await suite.services.refundDesk.start(ask(id));
    await finished;
    expect(await suite.services.refunds.find(refundId)).to.include({ takenFrom: 'repayment' });
    expect((await suite.services.repayments.find(repayment.id))?.paidMinor).to.equal(0n);
  });

  it('is credited or given back, never both, whichever comes first', async () => {
    for (let round = 0; round < 6; round += 1) {
      const { id, repayment } = await capturedLate();
      const adopt = decided({ action: 'adopt_captured', channelRef: 'late-1', proof: 'statement' });
      const refund = suite.services.refundDesk.start(ask(id));
      const ends = await Promise.all([suite.services.executor.run(id, adopt), refund].map(codeOf));
      const given = await refund.catch(() => null);
      await given?.finished;
      if (ends.every((end) => end === 'done')) {
        // The credit was whole before the refund looked: it takes from the repayment, as it may.
        expect(await suite.services.refunds.find(given?.id ?? id)).to.include({
          takenFrom: 'repayment',
        });
      } else {
        expect(ends).to.have.members(['done', 'capture_not_available']);
      }
      const capture = await suite.services.refunds.capture(id, 1);
      if (capture === null || 'topUpId' in capture) throw new Error('it is of a deduction');
      const { creditedMinor, refundMinor } = capture;
      expect(creditedMinor).to.equal(
        (await suite.services.repayments.find(repayment.id))?.paidMinor,
      );
      expect(creditedMinor === 0n || refundMinor === 0n).to.equal(true);
    }
  });
});
