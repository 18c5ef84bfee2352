/** Top-ups over the wire: what comes in, what goes out, with an example of each. */
import { z } from 'zod';
import { taskStatuses } from '../engine/orders-state.js';
import { topUpStages } from '../engine/top-up.js';
import type { TopUpRecord } from '../intake/top-up.js';
import { currencies } from '../money.js';
import { minor } from './views.js';
import { amount, failure, nextPage, taskStory, time } from './wire-replies.js';
import {
  accountToken,
  askedAmount,
  bankCode,
  channelId,
  currency,
  last4,
  newOwnId,
  ownId,
  taskPageQuery,
} from './wire-requests.js';

const stage = z
  .enum(topUpStages)
  .describe('`credit_unknown`: not confirmed by the card system; it counts as credited meanwhile');
const ruleName = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, 'the name of a rule');

export const topUpBody = z
  .strictObject({
    customer_id: newOwnId.describe('Whose card it is'),
    amount_minor: askedAmount.describe('What the customer pays, minor units (fen)'),
    currency,
    rule: ruleName.optional().describe('Left out: the first configured rule that fits'),
    credit_minor: askedAmount
      .optional()
      .describe('What the customer was told the card gets; refused where it would get another sum'),
    bank_code: bankCode.describe('Where it is paid from'),
    account_token: accountToken,
    account_last4: last4,
    card_token: accountToken.describe('The card: a token, never its number'),
    card_last4: last4,
    cards: channelId.optional().describe('The card system. Left out: the one there is'),
  })
  .meta({
    examples: [
      {
        customer_id: 'cu_1001',
        amount_minor: 100_000,
        currency: 'CNY',
        credit_minor: 120_000,
        bank_code: 'ICBC',
        account_token: 'tok_8fQk2mXw41',
        account_last4: '4321',
        card_token: 'crd_5hTq8vBn27',
        card_last4: '0007',
      },
    ],
  });

export type TopUpBody = z.output<typeof topUpBody>;

export const topUpsQuery = z.strictObject({
  ...taskPageQuery,
  stage: stage.optional(),
  customer_id: ownId.optional(),
});

const topUpFields = {
  id: z.uuid(),
  status: z
    .enum(taskStatuses)
    .describe(
      '`succeeded`: the card is credited. `failed`: it is not and never will be, and what was paid ' +
        'has gone back. Both are final, but for a payment that comes after a failure: it goes back, ' +
        'and the top-up is `processing` until it has. `needs_review`: only a person can decide',
    ),
  stage,
  customer_id: z.string(),
  amount_minor: amount.describe('What the customer pays'),
  credit_minor: amount.describe('What the card gets, bonus included; fixed before anyone pays'),
  rule: z.string(),
  currency: z.enum(currencies),
  cards: z.string(),
  card_last4: z.string(),
  bank_code: z.string(),
  account_last4: z.string(),
  channel_id: z.string().nullable().describe('Where it was paid'),
  order_no: z.string().nullable().describe('Of the payment'),
  paid_at: time.nullable(),
  settle_at: time
    .nullable()
    .describe('When a credit that is still not confirmed is settled with the card system'),
  credit_unknown_since: time.nullable(),
  credited_at: time.nullable(),
  refunded_at: time.nullable(),
  failure,
  created_at: time,
  ended_at: time.nullable(),
};

const at = '2026-11-22T01:00:00.000Z';
const topUpExample = {
  id: '019a9e6c-5a00-7c3e-8f1d-0242ac120005',
  status: 'processing' as const,
  stage: 'credit_unknown' as const,
  customer_id: 'cu_1001',
  amount_minor: 100_000,
  credit_minor: 120_000,
  rule: 'spring_2026',
  currency: 'CNY' as const,
  cards: 'cards',
  card_last4: '0007',
  bank_code: 'ICBC',
  account_last4: '4321',
  channel_id: 'swiftpay',
  order_no: 'R2B7GQ0R9W1V4C5T6Y8U1I2O3P02',
  paid_at: '2026-11-22T01:00:02.118Z',
  settle_at: '2026-11-22T02:00:02.118Z',
  credit_unknown_since: '2026-11-22T01:00:02.130Z',
  credited_at: null,
  refunded_at: null,
  failure: null,
  created_at: at,
  ended_at: null,
};

export const topUp = z.object(topUpFields).meta({ id: 'TopUp', examples: [topUpExample] });

export const topUpDetail = z
  .object({
    ...topUpFields,
    ...taskStory,
  })
  .meta({ id: 'TopUpDetail', examples: [{ ...topUpExample, attempts: [], log: [], cases: [] }] });

export const topUpPage = z
  .object({
    top_ups: z.array(topUp).describe('Newest first'),
    ...nextPage,
  })
  .meta({
    id: 'TopUpPage',
    examples: [{ top_ups: [topUpExample], next_cursor: null, next: null }],
  });

const timeOrNull = (date: Date | null): string | null => date?.toISOString() ?? null;

export function topUpView(record: TopUpRecord): z.input<typeof topUp> {
  const { failureCode, failureDetail } = record;
  return {
    id: record.id,
    status: record.status,
    stage: record.stage,
    customer_id: record.customerId,
    amount_minor: minor(record.amountMinor),
    credit_minor: minor(record.creditMinor),
    rule: record.rule,
    currency: record.currency,
    cards: record.cards,
    card_last4: record.cardLast4,
    bank_code: record.bankCode,
    account_last4: record.payerLast4,
    channel_id: record.channelId,
    order_no: record.orderNo,
    paid_at: timeOrNull(record.paidAt),
    settle_at: timeOrNull(record.settleAt),
    credit_unknown_since: timeOrNull(record.creditUnknownSince),
    credited_at: timeOrNull(record.creditedAt),
    refunded_at: timeOrNull(record.refundedAt),
    failure: failureCode === null ? null : { code: failureCode, detail: failureDetail ?? '' },
    created_at: record.createdAt.toISOString(),
    ended_at: timeOrNull(record.endedAt),
  };
}
