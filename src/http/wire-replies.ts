/** What callers get, field by field, with an example of each. No account token has a place here. */
import { z } from 'zod';
import { taskStatuses } from '../engine/orders-state.js';
import { currencies } from '../money.js';
import { moneyBack } from './refund-wire.js';

const ids = {
  deduction: '019a9e6c-5a00-7c3e-8f1d-0242ac120002',
  batch: '019a9e6c-5a00-7c3e-8f1d-0242ac120003',
};
const at = '2026-11-22T01:00:00.000Z';

export const time = z.iso.datetime().describe('UTC, ISO 8601');
export const amount = z.int().min(0).describe('Minor units (fen), a whole number');
const currency = z.enum(currencies);
export const failure = z.object({ code: z.string(), detail: z.string() }).nullable();
const repaymentExample = {
  id: 'rp_20261122_0001',
  borrower_id: 'bw_1001',
  currency: 'CNY' as const,
  due_minor: 128_050,
  due_date: '2026-11-22',
  bank_code: 'ICBC',
  account_last4: '4321',
};

const deductionFields = {
  id: z.uuid(),
  status: z
    .enum(taskStatuses)
    .describe('`succeeded` and `failed` are final. `needs_review`: only a person can decide'),
  repayment_id: z.string(),
  borrower_id: z.string(),
  amount_minor: amount,
  currency,
  bank_code: z.string(),
  account_last4: z.string(),
  source: z.enum(['app', 'batch', 'agent']),
  channel_id: z.string().nullable(),
  order_no: z.string().nullable(),
  failure,
  batch_id: z.string().nullable(),
  agent: z.object({ name: z.string(), reason: z.string() }).nullable(),
  created_at: time,
  ended_at: time.nullable(),
};

const deductionExample = {
  id: ids.deduction,
  status: 'succeeded' as const,
  repayment_id: 'rp_20261122_0001',
  borrower_id: 'bw_1001',
  amount_minor: 128_050,
  currency: 'CNY' as const,
  bank_code: 'ICBC',
  account_last4: '4321',
  source: 'app' as const,
  channel_id: 'swiftpay',
  order_no: 'R2B7GQ0R9W1V4C5T6Y8U1I2O3P01',
  failure: null,
  batch_id: null,
  agent: null,
  created_at: at,
  ended_at: '2026-11-22T01:00:00.412Z',
};

export const deduction = z
  .object(deductionFields)
  .meta({ id: 'Deduction', examples: [deductionExample] });

export const attempt = z.object({
  attempt_no: z.int(),
  operation: z.string().describe('What the order asks for: `charge`, `refund`, `payout`, …'),
  order_no: z.string(),
  channel_id: z.string(),
  status: z.string(),
  channel_ref: z.string().nullable(),
  decline_code: z.string().nullable(),
  channel_code: z.string().nullable(),
  proof: z.string().nullable(),
  unknown_why: z.string().nullable(),
  asks: z.int(),
  next_ask_at: time.nullable(),
  created_at: time,
  expires_at: time,
  ended_at: time.nullable(),
});

const logEntry = z.looseObject({
  seq: z.int(),
  kind: z.string(),
  at: time,
  writer: z.string().describe('The run that wrote it'),
});

export const reviewCase = z
  .object({
    deduction_id: z.uuid(),
    case_no: z.int(),
    reason: z.string(),
    attempt_no: z.int(),
    amount_minor: amount,
    evidence: z.string(),
    owner: z.string().nullable(),
    opened_at: time,
    closed_at: time.nullable(),
    resolution: z.string().nullable(),
  })
  .meta({ id: 'Case' });

/** What is known of a task besides its row. */
export const taskStory = {
  attempts: z.array(attempt),
  log: z.array(logEntry).describe('The execution log: what happened, entry by entry'),
  cases: z.array(reviewCase),
};

export const deductionDetail = z
  .object({
    ...deductionFields,
    ...taskStory,
    ...moneyBack,
  })
  .meta({
    id: 'DeductionDetail',
    examples: [
      {
        ...deductionExample,
        attempts: [
          {
            attempt_no: 1,
            operation: 'charge',
            order_no: deductionExample.order_no,
            channel_id: 'swiftpay',
            status: 'succeeded',
            channel_ref: 'SP2026112200000017',
            decline_code: null,
            channel_code: null,
            proof: null,
            unknown_why: null,
            asks: 0,
            next_ask_at: null,
            created_at: at,
            expires_at: '2026-11-22T01:05:00.000Z',
            ended_at: deductionExample.ended_at,
          },
        ],
        log: [
          {
            seq: 5,
            kind: 'settled',
            at: deductionExample.ended_at,
            writer: 'api-1.17',
            attempt_no: 1,
            channel_id: 'swiftpay',
            order_no: deductionExample.order_no,
            amount_minor: 128_050,
          },
        ],
        cases: [],
        refund_requests: [],
        refunds: [],
      },
    ],
  });

export const nextPage = {
  next_cursor: z.string().nullable(),
  next: z.string().nullable().describe('The address of the next page'),
};

export const deductionPage = z
  .object({
    deductions: z.array(deduction).describe('Newest first'),
    ...nextPage,
  })
  .meta({
    id: 'DeductionPage',
    examples: [{ deductions: [deductionExample], next_cursor: null, next: null }],
  });

export const repayment = z
  .object({
    id: z.string(),
    borrower_id: z.string(),
    currency,
    due_minor: amount,
    paid_minor: amount,
    collecting_minor: amount.describe('What the one live deduction may still take'),
    outstanding_minor: amount,
    due_date: z.iso.date(),
    bank_code: z.string(),
    account_last4: z.string(),
  })
  .meta({
    id: 'Repayment',
    examples: [
      { ...repaymentExample, paid_minor: 0, collecting_minor: 0, outstanding_minor: 128_050 },
    ],
  });

export const repaymentList = z.object({ repayments: z.array(repayment) }).meta({
  id: 'RepaymentList',
  examples: [
    {
      repayments: [
        { ...repaymentExample, paid_minor: 0, collecting_minor: 0, outstanding_minor: 128_050 },
      ],
    },
  ],
});

const progress = z.object({
  pending: z.int().describe('Rows not yet started nor rejected'),
  started: z.int(),
  rejected: z.int(),
  processing: z.int().describe('Deductions of the batch by status, from here on'),
  succeeded: z.int(),
  failed: z.int(),
  needs_review: z.int(),
  collected_minor: amount,
});

export const batch = z
  .object({
    id: z.uuid(),
    name: z.string(),
    state: z.enum(['loading', 'running', 'paused', 'done', 'refused']),
    rows_total: z.int(),
    rows_rejected: z.int().describe('Rows refused while loading; see `progress.rejected`'),
    created_at: time,
    loaded_at: time.nullable(),
    ended_at: time.nullable(),
    progress,
    notes: z
      .array(z.string())
      .optional()
      .describe('Codes of what was odd about the file and did no harm'),
  })
  .meta({
    id: 'Batch',
    examples: [
      {
        id: ids.batch,
        name: 'due 2026-11-22',
        state: 'running',
        rows_total: 2_000,
        rows_rejected: 3,
        created_at: at,
        loaded_at: '2026-11-22T01:00:01.250Z',
        ended_at: null,
        progress: {
          pending: 1_200,
          started: 797,
          rejected: 3,
          processing: 64,
          succeeded: 690,
          failed: 43,
          needs_review: 0,
          collected_minor: 88_320_000,
        },
      },
    ],
  });

export const rejectedPage = z
  .object({
    rejected: z.array(z.object({ line_no: z.int(), code: z.string(), detail: z.string() })),
    next: z.string().nullable(),
  })
  .meta({
    id: 'RejectedRows',
    examples: [
      {
        rejected: [
          { line_no: 17, code: 'row_duplicate', detail: 'the repayment stands on an earlier line' },
        ],
        next: null,
      },
    ],
  });
