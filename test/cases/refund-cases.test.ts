import { expect } from 'chai';
import type { CaseRecord, Person } from '../../src/cases/case.js';
import type { Proposal } from '../../src/cases/proposal.js';
import type { Resolution } from '../../src/cases/resolution.js';
import { orderNo, type TaskId } from '../../src/ids.js';
import type { NewRepayment } from '../../src/intake/repayment.js';
import { amountMinor } from '../../src/money.js';
import { CaseStore } from '../../src/store/case-book.js';
import { requestFor } from '../support/requests.js';
import { useEnvironment } from '../support/suite.js';

const wang: Person = { name: 'Wang Fang', keyId: 'key_wang' };
const li: Person = { name: 'Li Na', keyId: 'key_li' };
const proof = 'statement of the day, line 118';
const refund = { action: 'refund', amountMinor: amountMinor(120_000), reason: proof } as const;

describe('a decision that the books refuse', () => {
  const suite = useEnvironment();

  const declines = async (operation: 'charge' | 'refund') =>
    await suite.environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation,
        fault: 'decline',
        params: { outcome: 'insufficient_funds' },
      },
    ]);

  async function collect(repayment: NewRepayment): Promise<TaskId> {
    const { deductionId, finished } = await suite.services.desk.start(requestFor(repayment));
    await finished;
    await suite.environment.sandbox.clearFaults();
    return deductionId;
  }

  const succeededAfterAll = async (task: TaskId) =>
    await suite.services.executor.run(task, {
      kind: 'statement',
      orderNo: orderNo(task, 1),
      read: () => ({ kind: 'succeeded', channelRef: 'late-1' }),
      source: 'swiftpay 2026-11-22',
    });

  const caseOf = async (taskId: TaskId, kind: string): Promise<CaseRecord> => {
    const open = await new CaseStore(suite.services.database).list({
      open: true,
      taskId,
      limit: 10,
    });
    const found = open.find((one) => one.kind === kind);
    if (found === undefined) throw new Error(`no open case of ${kind}`);
    return found;
  };

  async function resolve({ id }: CaseRecord, resolution: Resolution): Promise<Proposal> {
    const { desk } = suite.services.cases;
    const { no, payloadDigest } = await desk.propose(id, resolution, wang);
    return await desk.approve(id, no, payloadDigest, li);
  }

  const asked = (taskId: TaskId) => ({
    taskId,
    attemptNo: 1,
    amountMinor: null,
    reason: proof,
    requestedBy: wang.name,
    approvedBy: li.name,
  });

  async function failedRefund(deduction: TaskId): Promise<TaskId> {
    await declines('refund');
    const requestKey = `first:${deduction}`;
    const started = await suite.services.refundDesk.start({ ...asked(deduction), requestKey });
    await started.finished;
    await suite.environment.sandbox.clearFaults();
    expect((await suite.services.refunds.find(started.id))?.status).to.equal('failed');
    return started.id;
  }

  for (const kind of ['refund_failed', 'late_success']) {
    it(`does not give back twice what a failed refund gave back after all (${kind})`, async () => {
      const deduction = await collect(await suite.environment.repayment());
      const failed = await failedRefund(deduction);
      await succeededAfterAll(failed);
      const end = await resolve(await caseOf(failed, kind), refund);
      expect(end.state).to.equal('void');
      expect(
        await suite.services.refunds.list({ deductionId: deduction, limit: 10 }),
      ).to.have.length(1);
      expect(
        (await suite.environment.sandbox.order(orderNo(deduction, 1)))?.refunds,
      ).to.have.length(0);
    });
  }

  it('stands where the refund it is about had started when the failed one paid after all', async () => {
    const deduction = await collect(await suite.environment.repayment());
    const failed = await failedRefund(deduction);
    const about = await caseOf(failed, 'refund_failed');
    const { no, payloadDigest } = await suite.services.cases.desk.propose(about.id, refund, wang);
    // The first half of carrying out, as it was before the process died.
    const requestKey = `case:${about.id}:${no}`;
    const { id: refundId } = await suite.services.refundDesk.start({
      ...asked(deduction),
      requestKey,
    });
    await succeededAfterAll(failed);
    const end = await suite.services.cases.desk.approve(about.id, no, payloadDigest, li);
    expect(end).to.include({ state: 'executed', outcome: `refund ${refundId}` });
  });

  it('is void where a late capture is adopted for what has been paid since, and another can follow', async () => {
    const repayment = await suite.environment.repayment();
    await declines('charge');
    const late = await collect(repayment);
    await collect(repayment);
    expect((await suite.services.repayments.find(repayment.id))?.paidMinor).to.equal(120_000n);
    await succeededAfterAll(late);
    const about = await caseOf(late, 'late_success');
    const adopt = { action: 'adopt_captured', channelRef: 'late-1', proof } as const;
    const end = await resolve(about, adopt);
    expect(end).to.include({ state: 'void', outcome: 'the books refuse it: amount_exceeds_due' });
    expect((await resolve(about, refund)).state).to.equal('executed');
  });
});
