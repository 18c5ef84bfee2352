import { expect } from 'chai';
import { stub } from 'sinon';
import type { Executor } from '../../src/engine/executor.js';
import type { Router } from '../../src/engine/ports.js';
import type { Task } from '../../src/engine/tasks.js';
import { RecoupError } from '../../src/errors.js';
import { repaymentId } from '../../src/ids.js';
import { DeductionDesk, type DeskReads } from '../../src/intake/deduction-desk.js';
import type { Repayment } from '../../src/intake/repayment.js';
import { systemClock } from '../../src/clock.js';
import { amountMinor } from '../../src/money.js';
import { place } from '../engine/flow-driver.js';
import { requestFor } from '../support/requests.js';

const repayment = (paid: number): Repayment => ({
  id: repaymentId('rp_1'),
  borrowerId: 'bw_1',
  currency: 'CNY',
  dueMinor: amountMinor(100),
  paidMinor: amountMinor(paid),
  collectingMinor: amountMinor(0),
  dueDate: '2026-11-22',
  account: { token: 'tok_account', bankCode: 'ICBC', last4: '1234' },
});

describe('all that is outstanding, where another deduction ends meanwhile', () => {
  /** What is paid of 100 at each look, and each start is refused by the tables. */
  async function refusal(paid: readonly number[]): Promise<unknown> {
    const looks = paid.map(repayment);
    const reads: DeskReads = {
      repayment: async () => (looks.length > 1 ? looks.shift() : looks[0]) ?? null,
      byRequest: async () => null,
      liveOn: async () => null,
    };
    const refused = Promise.reject(new RecoupError('amount_exceeds_due'));
    refused.catch(() => undefined);
    const start = stub().returns({ accepted: refused, finished: refused });
    const executor = { start } as unknown as Executor<Task>;
    const router: Router = { plan: async () => ({ places: [place('a')], rejected: [] }) };
    const desk = new DeductionDesk(reads, router, executor, systemClock, { attemptWindowMs: 1 });
    const error = await desk.start(requestFor(repayment(0))).catch((thrown: unknown) => thrown);
    expect(start.callCount, 'it is not tried for ever').to.be.at.most(2);
    return (error as RecoupError).code;
  }

  it('is reckoned anew: nothing is left, and that is what the caller is told', async () => {
    expect(await refusal([0, 100])).to.equal('repayment_settled');
  });

  it('is reckoned anew once', async () => {
    expect(await refusal([0, 40, 60])).to.equal('amount_exceeds_due');
  });
});
