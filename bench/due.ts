/** Repayments to collect, and the request for each. */
import { randomUUID } from 'node:crypto';
import type { Services } from '../src/composition/root.js';
import { repaymentId } from '../src/ids.js';
import type { DeductionRequest } from '../src/intake/deduction-desk.js';
import type { NewRepayment, Repayment } from '../src/intake/repayment.js';
import { amountMinor } from '../src/money.js';

const banks = ['ICBC', 'CCB', 'ABC', 'BOC', 'CMB', 'BCM'];
const rowsPerStatement = 500;

export function newDue(count: number): Repayment[] {
  const run = randomUUID().slice(0, 8);
  return Array.from({ length: count }, (_, index) => ({
    id: repaymentId(`bench_${run}_${index}`),
    borrowerId: `bw_${run}_${index}`,
    currency: 'CNY',
    dueMinor: amountMinor(10_000 + (index % 90_000)),
    paidMinor: amountMinor(0),
    collectingMinor: amountMinor(0),
    dueDate: '2026-11-22',
    account: {
      token: `tok_ok_${run}_${index}`,
      bankCode: banks[index % banks.length] ?? 'ICBC',
      last4: String(index % 10_000).padStart(4, '0'),
    },
  }));
}

export async function registered(
  repayments: Pick<Services['repayments'], 'register'>,
  count: number,
): Promise<Repayment[]> {
  const due = newDue(count);
  for (let at = 0; at < due.length; at += rowsPerStatement) {
    const rows: NewRepayment[] = due.slice(at, at + rowsPerStatement);
    await repayments.register(rows, Date.now());
  }
  return due;
}

export function requestFor(repayment: Repayment): DeductionRequest {
  return {
    source: 'batch',
    repaymentId: repayment.id,
    amountMinor: null,
    requestKey: `bench:${repayment.id}`,
    requestDigest: '0'.repeat(64),
    batchId: null,
    agent: null,
  };
}
