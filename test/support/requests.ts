import { randomUUID } from 'node:crypto';
import type { DeductionRequest } from '../../src/intake/deduction-desk.js';
import type { NewRepayment } from '../../src/intake/repayment.js';

/** What the desk is asked for: all that is due on a repayment, by the app, under a key of its own. */
export function requestFor(
  repayment: NewRepayment,
  fields: Partial<DeductionRequest> = {},
): DeductionRequest {
  return {
    source: 'app',
    repaymentId: repayment.id,
    amountMinor: null,
    requestKey: `test:${randomUUID()}`,
    requestDigest: '0'.repeat(64),
    batchId: null,
    agent: null,
    ...fields,
  };
}
