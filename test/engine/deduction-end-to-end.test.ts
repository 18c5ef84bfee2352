import { expect } from 'chai';
import type { Services } from '../../src/composition/root.js';
import type { DeductionRecord } from '../../src/intake/records.js';
import type { TaskId } from '../../src/ids.js';
import { until } from '../sandbox/sandbox-process.js';
import { startEnvironment, type TestEnvironment } from '../support/environment.js';
import { requestFor } from '../support/requests.js';

describe('a deduction, end to end', () => {
  let environment: TestEnvironment;
  let services: Services;

  before(async () => {
    environment = await startEnvironment();
    services = await environment.compose();
    services.startPoller();
    services.compensator.start();
  });
  after(async () => environment.close());
  afterEach(async () => environment.sandbox.clearFaults());

  const ended = async (id: TaskId): Promise<DeductionRecord> =>
    await until(
      `the end of ${id}`,
      async () => {
        const record = await services.deductions.find(id);
        return record !== null && record.status !== 'processing' && record;
      },
      15_000,
    );

  const kinds = async (id: TaskId): Promise<string[]> =>
    (await services.deductions.log(id)).map(({ entry }) => entry.kind);

  it('collects at once through a synchronous channel, in two commits', async () => {
    const repayment = await environment.repayment();
    const { deductionId, finished } = await services.desk.start(requestFor(repayment));
    expect((await finished).outcome).to.equal('ended');
    const record = await ended(deductionId);
    expect(record.status).to.equal('succeeded');
    expect(await kinds(deductionId)).to.deep.equal([
      'accepted',
      'routed',
      'charge_intended',
      'replied',
      'settled',
    ]);
    const [order] = (await environment.sandbox.book()).filter(
      (one) => one.orderNo === record.orderNo,
    );
    expect(order?.captures).to.have.length(1);
    expect((await services.repayments.find(repayment.id))?.paidMinor).to.equal(120_000n);
  });

  it('collects through a channel that is polled', async () => {
    const account = { token: 'tok_ok_union_1', bankCode: 'PSBC', last4: '1111' };
    const repayment = await environment.repayment({ account });
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const record = await ended(deductionId);
    expect(record.status).to.equal('succeeded');
    expect(record.channelId).to.equal('unionlink');
  });

  it('asks after a time-out and finds the capture, without charging again', async () => {
    await environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'timeout_after' },
    ]);
    const repayment = await environment.repayment();
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const record = await ended(deductionId);
    expect(record.status).to.equal('succeeded');
    expect(record.channelId).to.equal('swiftpay');
    const orders = (await environment.sandbox.book()).filter((one) =>
      one.orderNo.startsWith(record.orderNo?.slice(0, 26) ?? '?'),
    );
    expect(orders.flatMap((one) => one.captures)).to.have.length(1);
  });

  it('sends the same order again to an idempotent channel that never saw it', async () => {
    await environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'timeout_before', nth: 1 },
    ]);
    const repayment = await environment.repayment();
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const record = await ended(deductionId);
    expect(record.status).to.equal('succeeded');
    expect(await kinds(deductionId)).to.include('resend_intended');
    expect(record.channelId).to.equal('swiftpay');
  });

  it('fails over when a channel is down, by proof that nothing was sent', async () => {
    await environment.sandbox.setFaults([
      { channel: 'swiftpay', operation: 'charge', fault: 'down' },
    ]);
    const repayment = await environment.repayment();
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const record = await ended(deductionId);
    expect(record.status).to.equal('succeeded');
    const [first] = await services.deductions.attempts(deductionId);
    expect(first).to.include({ channelId: 'swiftpay', status: 'not_executed', proof: 'not_sent' });
  });

  it('closes an order that was never seen, and fails over on the confirmed close', async () => {
    await environment.sandbox.setFaults([
      { channel: 'unionlink', operation: 'charge', fault: 'timeout_before' },
    ]);
    const account = { token: 'tok_ok_union_2', bankCode: 'PSBC', last4: '1111' };
    const repayment = await environment.repayment({ account, dueMinor: 90_000n as never });
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const record = await ended(deductionId);
    const attempts = await services.deductions.attempts(deductionId);
    expect(attempts[0]).to.include({ channelId: 'unionlink', proof: 'closed' });
    expect(['succeeded', 'failed']).to.include(record.status);
  });

  it('ends at a final decline, and frees the repayment', async () => {
    await environment.sandbox.setFaults([
      {
        channel: 'swiftpay',
        operation: 'charge',
        fault: 'decline',
        params: { outcome: 'insufficient_funds' },
      },
    ]);
    const repayment = await environment.repayment();
    const { deductionId } = await services.desk.start(requestFor(repayment));
    const record = await ended(deductionId);
    expect(record).to.include({ status: 'failed', failureCode: 'insufficient_funds' });
    const after = await services.repayments.find(repayment.id);
    expect(after).to.include({ paidMinor: 0n, collectingMinor: 0n });
  });
});
