/** Requests of refunds, and refunds, over the wire. */
import { z } from 'zod';
import type { RefundAsked, RefundRequestRecord } from '../cases/refund-requests.js';
import { taskStatuses } from '../engine/orders-state.js';
import { RecoupError } from '../errors.js';
import { isTaskId } from '../ids.js';
import type { RefundRecord } from '../intake/records.js';
import { amountMinor } from '../money.js';
import { digestOf } from '../request-key.js';
import { reason } from './case-wire.js';
import { askedAmount, createHeaders } from './wire-requests.js';

const at = '2026-11-22T01:00:00.000Z';
const task = '019a9e6c-5a00-7c3e-8f1d-0242ac120002';
const time = z.iso.datetime().describe('UTC, ISO 8601');
const amount = z.int().min(0).describe('Minor units (fen), a whole number');

export const refundHeaders = createHeaders.pick({ 'idempotency-key': true });

export const refundBody = z
  .strictObject({
    amount_minor: askedAmount
      .optional()
      .describe('Minor units (fen). Left out: all that is credited and not asked for already'),
    reason,
  })
  .meta({ examples: [{ amount_minor: 50_000, reason: 'the loan was cancelled on 2026-11-20' }] });

/**
 * What is asked for, over HTTP and on the command line alike.
 *
 * @throws RecoupError `amount_not_positive`, `deduction_unknown`
 */
export function askedOf(
  id: string,
  { amount_minor: amount, reason }: z.output<typeof refundBody>,
  requestKey: string,
): RefundAsked {
  if (amount !== undefined && amount <= 0) throw new RecoupError('amount_not_positive');
  if (!isTaskId(id)) throw new RecoupError('deduction_unknown');
  return {
    deductionId: id,
    amountMinor: amount === undefined ? null : amountMinor(amount),
    reason,
    requestKey,
    requestDigest: digestOf([id, amount ?? null, reason]),
  };
}

const requestFields = {
  case_id: z.string().describe('The case that another person decides'),
  deduction_id: z.uuid(),
  amount_minor: amount,
  currency: z.string(),
  reason: z.string(),
  requested_by: z.string(),
  requested_at: time,
  closed_at: time.nullable(),
  resolution: z.string().nullable(),
  refund_id: z.uuid().nullable().describe('The refund that it has become'),
};

const requestExample = {
  case_id: 'refund:17',
  deduction_id: task,
  amount_minor: 50_000,
  currency: 'CNY',
  reason: 'the loan was cancelled on 2026-11-20',
  requested_by: 'Wang Fang',
  requested_at: at,
  closed_at: null,
  resolution: null,
  refund_id: null,
};

export const refundRequest = z
  .object(requestFields)
  .meta({ id: 'RefundRequest', examples: [requestExample] });

const refund = z.object({
  id: z.uuid(),
  status: z.enum(taskStatuses),
  amount_minor: amount,
  currency: z.string(),
  taken_from: z
    .enum(['repayment', 'excess'])
    .describe('`repayment`: what was credited, which is then owed again'),
  failure_code: z.string().nullable(),
  order_no: z.string().nullable(),
  reason: z.string(),
  requested_by: z.string(),
  approved_by: z.string(),
  created_at: time,
  ended_at: time.nullable(),
});

/** What a deduction's page says of money that goes back. */
export const moneyBack = {
  refund_requests: z.array(z.object(requestFields)).describe('Oldest first'),
  refunds: z.array(refund).describe('Newest first, 100 at most'),
};

type Wire<T extends z.ZodType> = z.input<T>;

export const refundRequestView = (record: RefundRequestRecord): Wire<typeof refundRequest> => ({
  case_id: record.caseId,
  deduction_id: record.deductionId,
  amount_minor: Number(record.amountMinor),
  currency: record.currency,
  reason: record.reason,
  requested_by: record.requestedBy,
  requested_at: record.requestedAt.toISOString(),
  closed_at: record.closedAt?.toISOString() ?? null,
  resolution: record.resolution,
  refund_id: record.refundId,
});

const refundView = (record: RefundRecord): Wire<typeof refund> => ({
  id: record.id,
  status: record.status,
  amount_minor: Number(record.amountMinor),
  currency: record.currency,
  taken_from: record.takenFrom,
  failure_code: record.failureCode,
  order_no: record.orderNo,
  reason: record.reason,
  requested_by: record.requestedBy,
  approved_by: record.approvedBy,
  created_at: record.createdAt.toISOString(),
  ended_at: record.endedAt?.toISOString() ?? null,
});

export const moneyBackView = (
  requests: readonly RefundRequestRecord[],
  refunds: readonly RefundRecord[],
) => ({
  refund_requests: requests.map(refundRequestView),
  refunds: refunds.map(refundView),
});
